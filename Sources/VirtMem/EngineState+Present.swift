// The page-fault path under V: what a block needs before a thread may use it.
//
//   absent  --begin--> loading --complete--> loaded --makeDirty--> dirty
//
// The same path serves faults and scoped access; only the waiting differs.

/// What `look` found out about the first block of a run.
enum Look: Sendable {
    /// The block can be used, as can the rest of the run.
    case ready
    /// The blocks were absent and are now `loading`; the caller loads them.
    case load(LoadTicket)
    /// Another thread loads block `block`; the waiter will be woken.
    case wait
    /// The address is nobody's any more.
    case gone
}

extension EngineState {
    /// Looks at the blocks from `run.lowerBound` on, makes usable what can be at
    /// once, and stops at the first that must be loaded or waited for.
    ///
    /// - Parameter progress: blocks made usable (and pinned, if asked) are added to it.
    mutating func look(
        _ id: UInt32, _ run: Range<Int>, _ access: Access, pin: Bool, progress: inout Int,
        waiter: () -> Waiter
    ) throws(VirtMemError) -> Look {
        guard let handle = handles[id] else { return .gone }
        var number = run.lowerBound
        while number < run.upperBound {
            guard let block = handle.blocks[number] else { break }
            if block.state == .loading {
                block.waiters.append(waiter())
                return .wait
            }
            if access == .write { try makeDirty(handle, block) }
            if pin { addPin(block) } else { touch(block) }
            progress += 1
            number += 1
        }
        if number == run.upperBound { return .ready }
        return .load(begin(handle, number..<run.upperBound, access, pin: pin))
    }

    /// Turns the absent blocks at the start of `wanted` into `loading` ones.
    ///
    /// Waking a service thread costs as much as mapping ten blocks, and mapping
    /// reads nothing. So a read fault takes the absent blocks around it along, and
    /// twice as many each time it continues where the last one ended.
    private mutating func begin(_ handle: HandleState, _ wanted: Range<Int>, _ access: Access, pin: Bool)
        -> LoadTicket
    {
        let serial = makeSerial()
        let first = wanted.lowerBound
        var end = first
        while end < wanted.upperBound, end - first < 512, handle.blocks[end] == nil { end += 1 }
        let demanded = first..<end
        var start = first

        if !pin, access == .read, areas < areaLimit / 2 {
            let group = HandleState.groupSize
            let isNext = first == handle.expectedNext
            handle.readAhead = isNext ? min(handle.readAhead * 2, HandleState.maxReadAhead) : group
            let lowest = first / group * group
            let limit = min(isNext ? first + handle.readAhead : lowest + group, handle.capacity)
            while start > lowest, handle.blocks[start - 1] == nil { start -= 1 }
            while end < limit, handle.blocks[end] == nil { end += 1 }
            handle.expectedNext = end
        }
        for number in start..<end {
            handle.blocks[number] = Block(number: number, handle: handle.id, serial: serial)
        }
        handle.activeLoads += 1
        return LoadTicket(
            handle: handle.id, file: handle.file, serial: serial, blocks: start..<end, demanded: demanded,
            access: access, pin: pin)
    }

    /// Ends a loading: maps what was found for each block that is still waited
    /// for, drops it for those that were invalidated meanwhile.
    mutating func complete(_ ticket: LoadTicket, _ contents: [LoadedContent]) throws(VirtMemError) {
        guard let handle = handles[ticket.handle] else {
            for case .frame(let frame) in contents { drop(frame) }
            return
        }
        handle.activeLoads -= 1
        let access = handle.isWritingOut ? .read : ticket.access
        var writer = SegmentWriter(zero: zeroDescriptor)
        var placed: [Block] = []

        for (number, content) in zip(ticket.blocks, contents) {
            guard let block = handle.blocks[number], block.serial == ticket.serial else {
                if case .frame(let frame) = content { drop(frame) }
                continue
            }
            if case .skipped = content {
                handle.blocks[number] = nil
                wakeWaiters(of: block)
                continue
            }
            unsafe writer.add(
                content, at: handle.address(of: number), size: handle.blockSize, pool: poolDescriptor)
            block.areas = writer.areasOfLast
            if case .frame(let frame) = content { block.frame = frame }
            placed.append(block)
        }

        let isWrite = access == .write
        try makeRoom(forAreas: writer.areas)
        var code = writer.map(isWrite ? Mapping.readWrite : Mapping.readOnly)
        if code != 0, try reclaim(1024) > 0 {
            code = writer.map(isWrite ? Mapping.readWrite : Mapping.readOnly)
        }
        if code != 0 {
            try? makeAbsentAfterFailure(handle, placed)
            throw .outOfMemory(doing: "mapping blocks \(ticket.blocks) of \(handle.file)", errno: code)
        }
        for block in placed {
            areas += block.areas
            let isDemanded = ticket.demanded.contains(block.number)
            if isWrite {
                block.state = .dirty
                handle.dirty.insert(block.number)
            } else {
                block.state = .loaded
                recency.append(block)
            }
            if ticket.pin, isDemanded { addPin(block) }
            wakeWaiters(of: block)
        }
        if ticket.access == .write, !isWrite {
            throw .writeoutInProgress(file: handle.file.description, action: "change a block")
        }
    }

    /// Ends a loading that failed: the blocks are absent again.
    mutating func fail(_ ticket: LoadTicket) {
        guard let handle = handles[ticket.handle] else { return }
        handle.activeLoads -= 1
        for number in ticket.blocks {
            guard let block = handle.blocks[number], block.serial == ticket.serial else { continue }
            handle.blocks[number] = nil
            wakeWaiters(of: block)
        }
    }

    private mutating func makeAbsentAfterFailure(_ handle: HandleState, _ blocks: [Block])
        throws(VirtMemError)
    {
        for block in blocks {
            block.areas = 0
            block.state = .loaded  // so that a half-made mapping is taken away
        }
        try makeAbsent(handle, blocks.map(\.number))
    }

    /// First write to a clean block, or to one sealed by a finished writeout.
    mutating func makeDirty(_ handle: HandleState, _ block: Block) throws(VirtMemError) {
        if block.state == .dirty, !block.isSealed { return }
        if handle.isWritingOut {
            throw .writeoutInProgress(file: handle.file.description, action: "change block \(block.number)")
        }
        let address = unsafe handle.address(of: block.number)
        let code = unsafe Mapping.protect(address, handle.blockSize, Mapping.readWrite)
        if code != 0 {
            throw .outOfMemory(doing: "making block \(block.number) of \(handle.file) writable", errno: code)
        }
        block.isSealed = false
        block.isStored = false
        if block.state == .loaded {
            block.state = .dirty
            handle.dirty.insert(block.number)
            recency.remove(block)
        }
    }

    /// Moves a clean block to the newest end (behaviour B15).
    private mutating func touch(_ block: Block) {
        if block.isListed { recency.append(block) }
    }

    private mutating func addPin(_ block: Block) {
        block.pins += 1
        recency.remove(block)
    }

    /// Ends scoped accesses to `blocks`.
    mutating func unpin(_ id: UInt32, _ blocks: Range<Int>) {
        guard let handle = handles[id] else { return }
        for number in blocks {
            guard let block = handle.blocks[number], block.pins > 0 else { continue }
            block.pins -= 1
            if block.pins == 0, block.state == .loaded, !block.isDetached { recency.append(block) }
        }
    }
}
