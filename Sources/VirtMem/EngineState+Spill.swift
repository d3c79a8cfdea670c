// Spilling under V: the blocks to spill, and what becomes of them.

/// Dirty blocks of one handle that are being spilled, ascending.
struct Spill: Sendable {
    struct Entry: Sendable {
        let number: Int
        let address: UInt
        /// What it shows without its private copies, if that can still be had.
        let clean: LoadedContent?
    }

    let handle: UInt32
    let file: any BigFile
    let blockSize: Int
    var entries: [Entry] = []

    /// What became of a block.
    enum Outcome: Sendable {
        /// It was not spilled, and keeps its change.
        case kept
        /// Nothing had been written to it.
        case unchanged
        /// Its content is there now.
        case spilled(BlockSource, changedPages: Int)
    }
}

/// A block that could be spilled.
struct SpillCandidate: Sendable {
    let handle: UInt32
    let number: Int
    let writableSince: UInt64
    let bytes: Int
}

extension EngineState {
    /// Whether blocks of the handle may be spilled at the moment.
    private func isSpillable(_ handle: HandleState) -> Bool { !handle.isWritingOut && !handle.hasStored }

    /// The handles that share a budget and have something to spill.
    func dirtyHandles(_ budget: DirtyBudget) -> [(UInt32, any BigFile)] {
        handles.values.filter { $0.budget.budget === budget && !$0.dirty.isEmpty && isSpillable($0) }
            .map { ($0.id, $0.file) }
    }

    /// Their blocks that could be spilled.
    func spillCandidates(_ ids: [UInt32]) -> [SpillCandidate] {
        ids.compactMap { handles[$0] }.filter(isSpillable).flatMap { handle in
            handle.dirty.compactMap { number -> SpillCandidate? in
                guard let block = handle.blocks[number], block.pins == 0 else { return nil }
                return SpillCandidate(
                    handle: handle.id, number: number, writableSince: block.writableSince,
                    bytes: block.dirtyBytes)
            }
        }
    }

    /// Starts to spill those of `numbers` that are dirty and in no scoped access:
    /// they are write-protected until the end, and a write to them waits for it.
    ///
    /// A thread that waits to end or to change the transaction comes first, unless
    /// the client itself asked for the spill.
    func beginSpill(_ id: UInt32, _ numbers: [Int], comesFirst: Bool) -> Spill? {
        guard let handle = handles[id], handle.spiller == nil, isSpillable(handle) else { return nil }
        guard comesFirst || handle.spillWaiters.isEmpty && handle.dueAfterSpill == 0 else { return nil }
        var spill = Spill(handle: id, file: handle.file, blockSize: handle.blockSize)
        let chosen = numbers.filter { number in
            guard let block = handle.blocks[number] else { return false }
            return block.state == .dirty && block.pins == 0
        }
        for run in HandleState.runs(chosen) where seal(handle, run) == 0 {
            for number in run {
                guard let block = handle.blocks[number] else { continue }
                block.isSpilling = true
                spill.entries.append(
                    Spill.Entry(
                        number: number, address: unsafe UInt(bitPattern: handle.address(of: number)),
                        clean: block.isDetached ? nil : block.clean))
            }
        }
        if spill.entries.isEmpty { return nil }
        handle.spiller = currentThread()
        return spill
    }

    /// Ends a spill: what was spilled is clean, mapped from where it is now.
    mutating func endSpill(_ spill: Spill, _ outcomes: [Spill.Outcome]) {
        guard let handle = handles[spill.handle] else { return }
        handle.spiller = nil
        for entry in spill.entries { handle.blocks[entry.number]?.isSpilling = false }
        if handle.closesAfterSpill {
            close(spill.handle)
            return
        }
        show(handle, spill, outcomes)
        for entry in spill.entries {
            if let block = handle.blocks[entry.number] { wakeWaiters(of: block) }
        }
        handle.dueAfterSpill += handle.spillWaiters.count
        wake(handle.spillWaiters.map { .thread($0) })
        handle.spillWaiters = []
        // What was freed so far may be enough for others.
        wakeWaiters(of: handle.budget)
    }

    private mutating func show(_ handle: HandleState, _ spill: Spill, _ outcomes: [Spill.Outcome]) {
        var writer = SegmentWriter(zero: zeroDescriptor)
        var shown: [Block] = []
        var gone: [Int] = []
        for (entry, outcome) in zip(spill.entries, outcomes) {
            guard let block = handle.blocks[entry.number] else { continue }
            switch outcome {
            case .kept: continue
            case .unchanged:
                noteUnchanged(handle, block)
                continue
            case .spilled(let source, let pages):
                counts.spilledBlocks += 1
                handle.budget.budget.countSpilled(blocks: 1, bytes: pages * systemPageSize)
                switch source {
                case .load, .loadShared:
                    // Whoever has it in scoped access keeps it, and it its change.
                    if block.pins == 0 { gone.append(entry.number) }
                    continue
                case .hole: block.clean = .hole
                case .extents(let extents): block.clean = .extents(extents)
                }
            }
            guard let content = block.clean else { continue }
            unsafe writer.add(
                content, at: handle.address(of: entry.number), size: handle.blockSize, pool: poolDescriptor)
            areas += writer.areasOfLast - block.areas
            block.areas = writer.areasOfLast
            shown.append(block)
        }
        if writer.map(Mapping.readOnly) == 0 {
            for block in shown { noteShown(handle, block) }
        } else {
            gone += shown.map(\.number)
        }
        // What cannot even be unmapped shows the right bytes, and stays dirty.
        try? makeAbsent(handle, gone.sorted())
        try? makeRoom(forAreas: 0)
    }

    private mutating func noteShown(_ handle: HandleState, _ block: Block) {
        noteClean(handle, block)
        block.isDetached = false
        block.isReloadable = false
        if let frame = block.frame { drop(frame) }
        block.frame = nil
        if block.isEvictable { recency.append(block) }
    }

    private mutating func noteUnchanged(_ handle: HandleState, _ block: Block) {
        // Memory of its own may have been touched and still be zero.
        if case .zeros? = block.clean {
            _ = unsafe Mapping.dropPrivateCopies(handle.address(of: block.number), handle.blockSize)
        }
        noteClean(handle, block)
        if block.isEvictable { recency.append(block) }
    }
}
