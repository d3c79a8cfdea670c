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
    /// The dirty budget is used up; the caller makes room, and looks again.
    case makeRoom(RoomRequest)
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
            if access == .write {
                if let hurdle = try hurdle(handle, block, waiter) { return hurdle }
                try makeDirty(handle, block)
            }
            if pin { addPin(block) } else { touch(block) }
            progress += 1
            number += 1
        }
        if number == run.upperBound { return .ready }
        var wanted = number..<run.upperBound
        if access == .write, !handle.isWritingOut {
            if let hurdle = admit(handle, handle.blockSize, waiter) { return hurdle }
            wanted = number..<min(run.upperBound, number + admittedBlocks(handle))
        }
        return .load(begin(handle, wanted, access, pin: pin))
    }

    /// Turns the absent blocks at the start of `wanted` into `loading` ones.
    ///
    /// Mapping reads nothing, and costs less than a fault. So a read fault takes the
    /// absent blocks around it along, and twice as many each time it continues a sequence.
    private mutating func begin(_ handle: HandleState, _ wanted: Range<Int>, _ access: Access, pin: Bool)
        -> LoadTicket
    {
        let first = wanted.lowerBound
        var end = first
        while end < wanted.upperBound, handle.blocks[end] == nil { end += 1 }
        let demanded = first..<end
        var start = first
        var isSequential = pin && demanded.count > 1

        if !pin, access == .read {
            let group: Range<Int>
            (group, isSequential) = handle.pattern.blocks(with: first, most: max(1, areaLimit / 8))
            // Where mapping evicts others, only what is certain to be read is worth it.
            if isSequential || hasRoomAhead {
                let limit = min(group.upperBound, handle.capacity)
                while start > group.lowerBound, handle.blocks[start - 1] == nil { start -= 1 }
                while end < limit, handle.blocks[end] == nil { end += 1 }
            }
            handle.noteRead(start..<end)
        }
        return claim(
            handle, start..<end, demanded: demanded, access, pin: pin, isSequential: isSequential)
    }

    /// Turns absent blocks into loading ones.
    private mutating func claim(
        _ handle: HandleState, _ blocks: Range<Int>, demanded: Range<Int>, _ access: Access, pin: Bool,
        isSequential: Bool
    ) -> LoadTicket {
        let serial = makeSerial()
        for number in blocks {
            let block = Block(number: number, handle: handle.id, serial: serial)
            block.pins = handle.pinsOfAbsent.removeValue(forKey: number) ?? 0
            handle.blocks[number] = block
            if access == .write { account(handle, block, handle.blockSize) }
        }
        handle.activeLoads += 1
        return LoadTicket(
            handle: handle.id, file: handle.file, serial: serial, blocks: blocks, demanded: demanded,
            access: access, pin: pin, isSequential: isSequential,
            base: unsafe UInt(bitPattern: handle.base))
    }

    /// Whether blocks that nobody asked for may be mapped: later on each would put out another.
    private var hasRoomAhead: Bool { usedMappings < areaLimit / 2 }

    /// Begins to load the first absent blocks of `run`, which nobody has touched yet, at most so
    /// many. Nil if there are none, or no room.
    mutating func beginAhead(_ handle: HandleState, _ run: Range<Int>, most: Int) -> LoadTicket? {
        let most = min(most, areaLimit / 2 - usedMappings)
        guard most > 0, let first = run.first(where: { handle.blocks[$0] == nil }) else { return nil }
        var end = first + 1
        while end < run.upperBound, end - first < most, handle.blocks[end] == nil { end += 1 }
        return claim(
            handle, first..<end, demanded: first..<first, .read, pin: false, isSequential: false)
    }

    /// Begins to load what a sequence of read faults will reach next, before it does. Nil if
    /// that is there already.
    mutating func beginAhead(_ id: UInt32, _ number: Int) -> LoadTicket? {
        guard let handle = handles[id], number < handle.capacity, handle.blocks[number] == nil else {
            return nil
        }
        var ticket = begin(handle, number..<(number + 1), .read, pin: false)
        // Nobody waits for any of them, so nothing is copied for them.
        ticket.demanded = number..<number
        ticket.aheadLoader = currentThread()
        handle.activeLoads -= 1
        handle.aheadLoaders.append(currentThread())
        return ticket
    }

    /// Ends a loading: maps what was found for each block that is still waited
    /// for, drops it for those that were invalidated meanwhile.
    ///
    /// Returns the first block that must be looked at again: those before it
    /// are usable, and pinned if the ticket says so; and how many calls mapped the blocks.
    mutating func complete(_ ticket: LoadTicket, _ contents: [LoadedContent]) throws(VirtMemError)
        -> (next: Int, mappings: Int)
    {
        guard let handle = handles[ticket.handle] else {
            for case .frame(let frame) in contents { drop(frame) }
            return (ticket.demanded.lowerBound, 0)
        }
        handle.endLoad(ticket)
        let isWrite = ticket.access == .write && !handle.isWritingOut
        for (number, content) in zip(ticket.blocks, contents) {
            if let block = handle.blocks[number], block.serial == ticket.serial {
                if case .skipped = content { takeOut(handle, block) }
            } else if case .frame(let frame) = content {
                drop(frame)
            }
        }
        let (placed, mappings) = try show(
            handle, ticket, contents, isWrite ? Mapping.readWrite : Mapping.readOnly)
        if !ticket.pin, !isWrite { handle.pattern.note(blocks: placed.count, mappings: mappings) }
        var usable = ticket.demanded.lowerBound
        for (block, ownAreas) in placed {
            block.areas = ownAreas
            areas += ownAreas
            countRuns(handle, block.number, isMapped: true)
            counts.loadedBlocks += 1
            if isWrite {
                noteWritable(handle, block)
            } else {
                block.state = .loaded
                account(handle, block, 0)
                if block.isEvictable { recency.append(block) }
            }
            wakeWaiters(of: block)
            if block.number == usable, ticket.demanded.contains(usable) { usable += 1 }
        }
        if ticket.access == .write, !isWrite {
            throw .writeoutInProgress(file: handle.name, action: "change a block")
        }
        if ticket.pin {
            for number in ticket.demanded.lowerBound..<usable {
                if let block = handle.blocks[number] { addPin(block) }
            }
        }
        return (usable, mappings)
    }

    /// Maps the blocks of a ticket that are still waited for; without room for all of
    /// them, those that somebody asked for. Returns which, the mappings of each, and how many
    /// there are as long as they are joined.
    private mutating func show(
        _ handle: HandleState, _ ticket: LoadTicket, _ contents: [LoadedContent], _ protection: Int32
    ) throws(VirtMemError) -> (placed: [(block: Block, areas: Int)], mappings: Int) {
        var hasOthers = ticket.demanded != ticket.blocks
        while true {
            let (writer, placed, needed) = collect(handle, ticket, contents)
            if !hasOthers || needed <= attainableMappings {
                do throws(VirtMemError) {
                    try makeRoom(forAreas: needed)
                    try place(writer, protection, "blocks \(ticket.blocks) of \(handle.name)")
                    return (placed, writer.areas)
                } catch {
                    makeInaccessible(handle, placed.map(\.block.number))
                    if !hasOthers {
                        release(ticket, ticket.blocks)
                        throw error
                    }
                }
            }
            release(ticket, ticket.blocks.lowerBound..<ticket.demanded.lowerBound)
            release(ticket, ticket.demanded.upperBound..<ticket.blocks.upperBound)
            hasOthers = false
        }
    }

    /// What is to be mapped for the blocks of a ticket that are still waited for, and how
    /// many kernel mappings that takes at most: joined blocks can be parted again, so each
    /// of them counts.
    private func collect(_ handle: HandleState, _ ticket: LoadTicket, _ contents: [LoadedContent])
        -> (SegmentWriter, [(block: Block, areas: Int)], Int)
    {
        var writer = SegmentWriter(zero: zeroDescriptor)
        var placed: [(block: Block, areas: Int)] = []
        for (number, content) in zip(ticket.blocks, contents) {
            guard let block = handle.blocks[number], block.serial == ticket.serial else { continue }
            unsafe writer.add(
                content, at: handle.address(of: number), size: handle.blockSize, pool: poolDescriptor)
            block.clean = content
            if case .frame(let frame) = content { block.frame = frame }
            placed.append((block, writer.areasOfLast))
        }
        let areas = placed.reduce(0) { $0 + $1.areas }
        return (writer, placed, areas + HandleState.runs(placed.map(\.block.number)).count)
    }

    /// Maps what `writer` collected. If the system has no more mappings, evicts and tries again.
    private mutating func place(_ writer: SegmentWriter, _ protection: Int32, _ what: String)
        throws(VirtMemError)
    {
        var code = writer.map(protection)
        if code != 0, try reclaim(1024) > 0 { code = writer.map(protection) }
        if code != 0 { throw .outOfMemory(doing: "mapping \(what)", errno: code) }
    }

    /// Gives up blocks of a ticket: they are absent again.
    mutating func release(_ ticket: LoadTicket, _ numbers: Range<Int>) {
        guard let handle = handles[ticket.handle] else { return }
        for number in numbers {
            guard let block = handle.blocks[number], block.serial == ticket.serial else { continue }
            takeOut(handle, block)
        }
    }

    /// Ends a loading that failed: the blocks are absent again.
    mutating func fail(_ ticket: LoadTicket) {
        handles[ticket.handle]?.endLoad(ticket)
        release(ticket, ticket.blocks)
    }

    /// Takes a half-made mapping away. If even that fails, what is mapped stays
    /// accessible; the tables will say absent, so the waiting threads try again.
    private func makeInaccessible(_ handle: HandleState, _ numbers: [Int]) {
        for run in HandleState.runs(numbers) {
            _ = unsafe Mapping.unmap(handle.address(of: run.lowerBound), run.count * handle.blockSize)
        }
    }

    /// First write to a clean block, or to one sealed by a finished writeout.
    mutating func makeDirty(_ handle: HandleState, _ block: Block) throws(VirtMemError) {
        if block.state == .dirty, !block.isSealed { return }
        if handle.isWritingOut {
            throw .writeoutInProgress(file: handle.name, action: "change block \(block.number)")
        }
        let address = unsafe handle.address(of: block.number)
        recency.remove(block)
        var code = unsafe Mapping.protect(address, handle.blockSize, Mapping.readWrite)
        // A change of protection splits a kernel mapping, of which there may be no more.
        if code != 0, try reclaim(1024) > 0 {
            code = unsafe Mapping.protect(address, handle.blockSize, Mapping.readWrite)
        }
        if code != 0 {
            _ = unsafe Mapping.protect(address, handle.blockSize, Mapping.readOnly)
            if block.isEvictable { recency.append(block) }
            throw .outOfMemory(doing: "making block \(block.number) of \(handle.name) writable", errno: code)
        }
        noteWritable(handle, block)
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
            if let block = handle.blocks[number] {
                block.pins -= 1
                if block.isEvictable { recency.append(block) }
            } else if let pins = handle.pinsOfAbsent[number] {
                handle.pinsOfAbsent[number] = pins > 1 ? pins - 1 : nil
            }
        }
    }
}
