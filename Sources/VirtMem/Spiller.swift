// Making room in a dirty budget: the part that runs without V.

/// What one call of `spillblks` gets at most.
private let mostBytesOfSpill = 64 << 20
private let mostBlocksOfSpill = 1024

extension Engine {
    /// Makes room in a budget for the thread that was told to, and lets those go on
    /// that wait for it.
    func makeRoom(_ request: RoomRequest) throws(VirtMemError) {
        do throws(VirtMemError) {
            try lower(request.budget, request.bytes)
        } catch {
            locked { $0.endMakingRoom(request, failed: true) }
            throw error
        }
        locked { $0.endMakingRoom(request, failed: false) }
    }

    /// Measures, and spills the oldest blocks if that was not enough.
    private func lower(_ budget: DirtyBudget, _ bytes: Int) throws(VirtMemError) {
        let ids = locked { $0.dirtyHandles(budget) }.filter { _, file in
            inCallback("canSpill") { file.canSpill }
        }.map(\.0)
        if ids.isEmpty { return }
        measure(budget)
        let limit = budget.limit
        if budget.usedBytes <= limit / 4 * 3, budget.usedBytes + bytes <= limit { return }
        let target = max(0, min(limit / 2, limit - bytes))
        for (id, numbers) in batches(locked { $0.spillCandidates(ids) }, freeing: budget.usedBytes - target) {
            if budget.usedBytes <= target { return }
            try spill(id, numbers, comesFirst: false)
        }
    }

    /// Counts what was really written to the blocks that can be written to.
    private func measure(_ budget: DirtyBudget) {
        guard pageMap.isAvailable else { return }
        budget.countMeasurement()
        for (id, run) in locked({ $0.writableRuns(budget) }) {
            let sealed = locked { $0.sealForMeasuring(id, run) }
            guard let blockSize = locked({ $0.handles[id]?.blockSize }) else { continue }
            var measured: [(number: Int, bytes: Int)] = []
            for (number, start) in sealed {
                guard let address = unsafe UnsafeRawPointer(bitPattern: start),
                    let pages = unsafe pageMap.writtenPages(address, blockSize)
                else { continue }
                measured.append((number, pages.count * systemPageSize))
            }
            locked { [measured] in $0.accountMeasured(id, measured) }
        }
    }

    /// The blocks written to least recently, until `bytes` are had: those of a
    /// handle together and ascending, so that the backend can write long runs.
    private func batches(_ candidates: [SpillCandidate], freeing bytes: Int) -> [(UInt32, [Int])] {
        var left = bytes
        var order: [UInt32] = []
        var chosen: [UInt32: [SpillCandidate]] = [:]
        for candidate in candidates.sorted(by: { $0.writableSince < $1.writableSince }) {
            if left <= 0 { break }
            left -= candidate.bytes
            if chosen[candidate.handle] == nil { order.append(candidate.handle) }
            chosen[candidate.handle, default: []].append(candidate)
        }
        return order.flatMap { id in
            Self.batches((chosen[id] ?? []).sorted { $0.number < $1.number }).map { (id, $0) }
        }
    }

    private static func batches(_ candidates: [SpillCandidate]) -> [[Int]] {
        var result: [[Int]] = []
        var bytes = 0
        for candidate in candidates {
            bytes += candidate.bytes
            if result.isEmpty || bytes > mostBytesOfSpill
                || result[result.count - 1].count == mostBlocksOfSpill
            {
                result.append([])
                bytes = candidate.bytes
            }
            result[result.count - 1].append(candidate.number)
        }
        return result
    }

    // MARK: One call of the backend

    /// Spills those of `numbers` that can be; returns which it tried.
    @discardableResult
    private func spill(_ id: UInt32, _ numbers: [Int], comesFirst: Bool) throws(VirtMemError) -> [Int] {
        guard let spill = locked({ $0.beginSpill(id, numbers, comesFirst: comesFirst) }) else { return [] }
        do throws(VirtMemError) {
            let outcomes = try outcomes(of: spill)
            locked { $0.endSpill(spill, outcomes) }
        } catch {
            // A block whose place is not known keeps its change, also if the backend
            // has taken it: it is stored or spilled again with at least the same pages.
            locked { $0.endSpill(spill, []) }
            throw error
        }
        return spill.entries.map(\.number)
    }

    private func outcomes(of spill: Spill) throws(VirtMemError) -> [Spill.Outcome] {
        var blocks: [DirtyBlock] = unsafe []
        var pages: [Int: Int] = [:]
        for entry in spill.entries {
            guard let address = unsafe UnsafeRawPointer(bitPattern: entry.address) else { continue }
            let changed = unsafe try changedPages(
                entry.clean, address, spill.blockSize,
                written: pageMap.writtenPages(address, spill.blockSize))
            pages[entry.number] = changed.count
            if changed.isEmpty { continue }
            let bytes = unsafe UnsafeRawBufferPointer(start: address, count: spill.blockSize)
            unsafe blocks.append(DirtyBlock(number: entry.number, bytes: bytes, changed: changed))
        }
        let sources = unsafe try sources(spill.file, spilling: blocks)
        return spill.entries.map { entry in
            sources[entry.number].map { .spilled($0, changedPages: pages[entry.number] ?? 0) } ?? .unchanged
        }
    }

    /// Has the backend take `blocks`; returns where it has them then.
    private func sources(_ file: any BigFile, spilling blocks: [DirtyBlock]) throws(VirtMemError)
        -> [Int: BlockSource]
    {
        let numbers = unsafe blocks.map { unsafe $0.number }
        guard let first = numbers.first else { return [:] }
        var result: [Int: BlockSource] = [:]
        do {
            try inCallback("spillblks") { try unsafe file.spillblks(blocks) }
            for run in HandleState.runs(numbers) {
                let sources = try inCallback("an extent look-up") { try file.sources(of: run) }
                precondition(sources.count == run.count, "\(file): sources(of:) must answer for every block")
                for (number, source) in zip(run, sources) { result[number] = source }
            }
        } catch {
            throw .spillFailed(file: file.description, block: first, cause: error)
        }
        return result
    }

    // MARK: On demand

    /// Spills every dirty block of a handle.
    func spillAll(_ id: UInt32, _ name: String) throws(VirtMemError) {
        let (candidates, budget) = try takeTurnToSpill(id, name)
        defer { locked { $0.endMakingRoom(RoomRequest(budget: budget, bytes: 0), failed: true) } }
        var left = Set(candidates.map(\.number))
        for numbers in Self.batches(candidates) {
            left.subtract(try spill(id, numbers, comesFirst: true))
        }
        if left.isEmpty { return }
        try locked { [left] state throws(VirtMemError) in
            // Closed by who waited for the end of the spill.
            guard let handle = state.handles[id] else { return }
            let dirty = left.intersection(handle.dirty)
            if dirty.isEmpty { return }
            try state.refuseToSpill(handle)
            throw .accessInProgress(file: name, action: "spill changes")
        }
    }

    /// Waits until nobody spills for the handle's budget, and takes the turn.
    private func takeTurnToSpill(_ id: UInt32, _ name: String) throws(VirtMemError)
        -> ([SpillCandidate], DirtyBudget)
    {
        while true {
            let event = Event()
            let turn = try locked { state throws(VirtMemError) -> ([SpillCandidate], DirtyBudget)? in
                let handle = try state.handle(id, name)
                try state.refuseToSpill(handle)
                if let maker = handle.budget.maker {
                    if maker == currentThread() { throw .writeoutInProgress(file: name, action: "spill") }
                    handle.budget.waiters.append(.thread(event))
                    return nil
                }
                handle.budget.maker = currentThread()
                let all = handle.dirty.sorted().compactMap { number in
                    handle.blocks[number].map {
                        SpillCandidate(
                            handle: id, number: number, writableSince: $0.writableSince, bytes: $0.dirtyBytes)
                    }
                }
                return (all, handle.budget.budget)
            }
            if let turn { return turn }
            event.wait()
        }
    }
}
