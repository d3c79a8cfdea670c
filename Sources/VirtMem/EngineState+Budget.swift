// What dirty blocks count in their budget, under V.

extension EngineState {
    /// The state of a budget, for a handle that is being opened.
    mutating func join(_ budget: DirtyBudget) -> BudgetState {
        let state = budgets[ObjectIdentifier(budget)] ?? BudgetState(budget)
        budgets[ObjectIdentifier(budget)] = state
        state.handles += 1
        return state
    }

    mutating func leave(_ state: BudgetState) {
        state.handles -= 1
        forgetIfUnused(state)
    }

    private mutating func forgetIfUnused(_ state: BudgetState) {
        if state.handles == 0, state.maker == nil { budgets[ObjectIdentifier(state.budget)] = nil }
    }

    /// Counts `block` with `bytes` from now on.
    mutating func account(_ handle: HandleState, _ block: Block, _ bytes: Int) {
        let change = bytes - block.dirtyBytes
        if change == 0 { return }
        block.dirtyBytes = bytes
        dirtyBytes += change
        handle.budget.budget.add(change)
    }

    /// What a block may take while it can be written to: its private copies, and the
    /// frame that shows its clean content, which cannot be evicted meanwhile.
    private static func mostBytes(_ handle: HandleState, _ block: Block) -> Int {
        handle.blockSize + (block.frame?.size ?? 0)
    }

    /// A block is dirty and writable from now on.
    mutating func noteWritable(_ handle: HandleState, _ block: Block) {
        block.state = .dirty
        block.isSealed = false
        block.isStored = false
        block.written = nil
        block.isMeasured = false
        block.writableSince = makeSerial()
        handle.dirty.insert(block.number)
        handle.writable.insert(block.number)
        account(handle, block, Self.mostBytes(handle, block))
    }

    /// A dirty block is clean from now on.
    mutating func noteClean(_ handle: HandleState, _ block: Block) {
        block.state = .loaded
        block.isSealed = false
        block.isStored = false
        block.wasStored = false
        block.isMeasured = false
        handle.dirty.remove(block.number)
        handle.writable.remove(block.number)
        account(handle, block, 0)
    }

    // MARK: Before a block becomes writable

    /// What must be done or waited for before `block` may become writable; nil if nothing.
    func hurdle(_ handle: HandleState, _ block: Block, _ waiter: () -> Waiter) throws(VirtMemError) -> Look? {
        // A writeout refuses the change; that is not for here.
        if block.state == .dirty && !block.isSealed || handle.isWritingOut { return nil }
        if block.isSpilling {
            if handle.spiller == currentThread() {
                throw .writeoutInProgress(file: handle.name, action: "change block \(block.number)")
            }
            block.waiters.append(waiter())
            return .wait
        }
        return admit(handle, Self.mostBytes(handle, block) - block.dirtyBytes, waiter)
    }

    /// Lets `bytes` more become dirty, or says what must come first.
    func admit(_ handle: HandleState, _ bytes: Int, _ waiter: () -> Waiter) -> Look? {
        let state = handle.budget
        let wanted = state.budget.usedBytes + bytes
        if wanted <= state.budget.limit { state.passedUntil = 0 }
        if bytes <= 0 || wanted <= state.isPassedFrom { return nil }
        if let maker = state.maker {
            // The backend that spills cannot wait for itself.
            if maker == currentThread() { return nil }
            state.waiters.append(waiter())
            return .wait
        }
        state.maker = currentThread()
        return .makeRoom(RoomRequest(budget: state.budget, bytes: bytes))
    }

    /// How many blocks of `handle` may become dirty at once; at least one.
    func admittedBlocks(_ handle: HandleState) -> Int {
        max(1, (handle.budget.isPassedFrom - handle.budget.budget.usedBytes) / handle.blockSize)
    }

    /// Ends making room. If it is still not there although nothing failed, the
    /// limit is passed, by so much that not every further block tries in vain.
    mutating func endMakingRoom(_ request: RoomRequest, failed: Bool) {
        guard let state = budgets[ObjectIdentifier(request.budget)] else { return }
        state.maker = nil
        let wanted = request.budget.usedBytes + request.bytes
        if !failed, wanted > request.budget.limit {
            state.passedUntil = wanted + wanted / 8
        }
        wakeWaiters(of: state)
        forgetIfUnused(state)
    }

    mutating func wakeWaiters(of state: BudgetState) {
        wake(state.waiters)
        state.waiters = []
    }

    // MARK: Measuring

    /// Runs of blocks that can be written to, in pieces that are quick to protect.
    func writableRuns(_ budget: DirtyBudget) -> [(UInt32, Range<Int>)] {
        handles.values.filter { $0.budget.budget === budget }.flatMap { handle in
            HandleState.runs(handle.writable.sorted(), ofAtMost: max(1, (128 << 20) / handle.blockSize))
                .map { (handle.id, $0) }
        }
    }

    /// Write-protects blocks of `run`, so that what is written to them can be
    /// counted; returns where they lie. Those in scoped access stay as they are.
    func sealForMeasuring(_ id: UInt32, _ run: Range<Int>) -> [(number: Int, address: UInt)] {
        guard let handle = handles[id], !handle.isWritingOut else { return [] }
        let numbers = run.filter { number in
            guard let block = handle.blocks[number], block.pins == 0 else { return false }
            return block.state == .dirty && !block.isSealed
        }
        var result: [(Int, UInt)] = []
        for part in HandleState.runs(numbers) where seal(handle, part) == 0 {
            for number in part {
                handle.blocks[number]?.isMeasured = true
                result.append((number, unsafe UInt(bitPattern: handle.address(of: number))))
            }
        }
        return result
    }

    /// Write-protects dirty blocks until their next write. Returns 0 or an errno.
    func seal(_ handle: HandleState, _ run: Range<Int>) -> Int32 {
        // Sealed first: also after a failure half-way the next write must be looked at.
        for number in run {
            handle.blocks[number]?.isSealed = true
            handle.writable.remove(number)
        }
        let address = unsafe handle.address(of: run.lowerBound)
        return unsafe Mapping.protect(address, run.count * handle.blockSize, Mapping.readOnly)
    }

    /// Counts measured blocks with the private bytes found, unless they were written to meanwhile.
    mutating func accountMeasured(_ id: UInt32, _ measured: [(number: Int, bytes: Int)]) {
        guard let handle = handles[id] else { return }
        for (number, bytes) in measured {
            guard let block = handle.blocks[number], block.isMeasured, block.state == .dirty else { continue }
            account(handle, block, bytes + (block.frame?.size ?? 0))
        }
    }
}
