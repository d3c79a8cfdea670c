internal import Synchronization

/// Finds the content of a ticket's blocks: the part of loading that runs
/// without V, and may take as long as the backend needs.
extension Engine {
    /// Loads the blocks of `ticket` and maps them. Returns the first block that
    /// must be looked at again, because it was invalidated meanwhile or not demanded, and how many
    /// calls mapped them.
    @discardableResult
    func load(_ ticket: LoadTicket) throws(VirtMemError) -> (next: Int, mappings: Int) {
        var ticket = ticket
        let contents: [LoadedContent]
        var filled = 0
        defer { pool.bytesOnTheirWay.subtract(filled, ordering: .sequentiallyConsistent) }
        do throws(VirtMemError) {
            let sources = narrow(&ticket, try self.sources(of: ticket))
            contents = try self.contents(of: ticket, sources, &filled)
        } catch {
            locked { $0.fail(ticket) }
            throw error
        }
        let loaded = try locked { state throws(VirtMemError) in try state.complete(ticket, contents) }
        if ticket.isSequential { readAhead(ticket, contents) }
        pageTables.fill(ticket, contents, self)
        return loaded
    }

    /// Maps blocks that somebody is about to point into, if few mappings show many: a fault for
    /// each group of them would take longer.
    ///
    /// Reads nothing. What cannot be looked up is an error when it is touched.
    func mapAhead(_ id: UInt32, _ blocks: Range<Int>) {
        var rest = blocks.lowerBound..<min(blocks.upperBound, blocks.lowerBound + Self.mostAhead)
        var mappings = 0
        var most = ReadPattern.groupSize
        while mappings < Self.mostMappingsAhead {
            let ticket = locked { state in
                state.handles[id].flatMap { state.beginAhead($0, rest, most: most) }
            }
            guard let ticket else { return }
            let descriptor = mappings == 0 ? fileOfLargeExtents(ticket) : nil
            if mappings == 0, descriptor == nil { return locked { $0.fail(ticket) } }
            guard let count = try? load(ticket).mappings, count > 0 else { return }
            mappings += count
            if let descriptor, !isReadByKernel(ticket, descriptor) { return }
            rest = ticket.blocks.upperBound..<rest.upperBound
            most = Self.mostAheadAtOnce
        }
    }

    /// Whether touching mapped blocks is all it takes to have them read: they are in memory, or the kernel reads
    /// far ahead by itself. Otherwise faults have more read.
    private func isReadByKernel(_ ticket: LoadTicket, _ descriptor: Int32) -> Bool {
        let address = ticket.base + UInt(ticket.blocks.lowerBound * ticket.file.blockSize)
        guard !ReadAhead.isEnough(descriptor), let page = unsafe UnsafeMutableRawPointer(bitPattern: address)
        else { return true }
        return unsafe isInMemory(page)
    }

    /// The file that has the ticket's blocks, if few mappings show them.
    private func fileOfLargeExtents(_ ticket: LoadTicket) -> Int32? {
        guard let sources = try? sources(of: ticket) else { return nil }
        var (blocks, mappings) = (0, 0)
        var end: (descriptor: Int32, offset: Int)?
        for source in sources {
            if source.isLoad { return nil }
            guard case .extents(let extents) = source else { continue }
            blocks += 1
            for extent in extents {
                if end?.descriptor != extent.descriptor || end?.offset != extent.fileOffset { mappings += 1 }
                end = (extent.descriptor, extent.fileOffset + extent.length)
            }
        }
        return mappings * Self.leastOfMapping <= blocks ? end?.descriptor : nil
    }

    private static let mostAhead = 512
    private static let mostAheadAtOnce = 128
    private static let mostMappingsAhead = 64
    private static let leastOfMapping = 4

    private func readAhead(_ ticket: LoadTicket, _ contents: [LoadedContent]) {
        guard var address = unsafe UnsafeMutableRawPointer(bitPattern: ticket.base) else { return }
        unsafe address += ticket.blocks.lowerBound * ticket.file.blockSize
        var readAhead = ReadAhead()
        for content in contents {
            if case .extents(let extents) = content { unsafe readAhead.add(extents, at: address) }
            unsafe address += ticket.file.blockSize
        }
        readAhead.start()
    }

    /// Takes out of the ticket, and lets others have, what waits for no `loadblk` now.
    ///
    /// `loadblk` can take long, or even wait for whoever wants another block of the ticket
    /// (D2): so a ticket holds one block to load, or else any number to map.
    private func narrow(_ ticket: inout LoadTicket, _ sources: [BlockSource]) -> ArraySlice<BlockSource> {
        let (blocks, demanded) = (ticket.blocks, ticket.demanded)
        let start = demanded.lowerBound
        let firstToLoad = demanded.first { sources[$0 - blocks.lowerBound].isLoad }
        switch firstToLoad {
        case nil: return sources[...]
        case start?: (ticket.blocks, ticket.demanded) = (start..<(start + 1), start..<(start + 1))
        case let end?: (ticket.blocks, ticket.demanded) = (blocks.lowerBound..<end, start..<end)
        }
        let kept = ticket.blocks
        locked { [ticket] state in
            state.release(ticket, blocks.lowerBound..<kept.lowerBound)
            state.release(ticket, kept.upperBound..<blocks.upperBound)
        }
        return sources[(kept.lowerBound - blocks.lowerBound)..<(kept.upperBound - blocks.lowerBound)]
    }

    /// Adds the bytes of frames it fills to `filled`.
    private func contents(
        of ticket: LoadTicket, _ sources: ArraySlice<BlockSource>, _ filled: inout Int
    ) throws(VirtMemError) -> [LoadedContent] {
        let file = ticket.file
        var contents: [LoadedContent] = []
        contents.reserveCapacity(sources.count)
        for (block, source) in zip(ticket.blocks, sources) {
            let isDemanded = ticket.demanded.contains(block)
            switch source {
            case .hole:
                let isFilled = ticket.filled.contains(block)
                contents.append(!isDemanded ? .skipped : isFilled ? .zeros : .hole)
            case .extents(let extents): contents.append(.extents(extents))
            case .load where !isDemanded, .loadShared where !isDemanded: contents.append(.skipped)
            case .load, .loadShared: contents.append(.frame(try frame(file, block, source, &filled)))
            }
        }
        return contents
    }

    /// Asks the backend for the extents. A failure for blocks that nobody asked
    /// for is no failure.
    private func sources(of ticket: LoadTicket) throws(VirtMemError) -> [BlockSource] {
        let file = ticket.file
        func ask(_ blocks: Range<Int>) throws -> [BlockSource] {
            let sources = try inCallback("an extent look-up") { try file.sources(of: blocks) }
            precondition(sources.count == blocks.count, "\(file): sources(of:) must answer for every block")
            return sources
        }
        if ticket.demanded != ticket.blocks, let sources = try? ask(ticket.blocks) { return sources }
        do {
            func skipped(_ blocks: Range<Int>) -> [BlockSource] {
                Array(repeating: .load, count: blocks.count)
            }
            return skipped(ticket.blocks.lowerBound..<ticket.demanded.lowerBound) + (try ask(ticket.demanded))
                + skipped(ticket.demanded.upperBound..<ticket.blocks.upperBound)
        } catch {
            throw .loadFailed(file: file.description, block: ticket.demanded.lowerBound, cause: error)
        }
    }

    /// A frame with a block's content: one that another handle has, or a new one.
    private func frame(_ file: any BigFile, _ block: Int, _ source: BlockSource, _ filled: inout Int)
        throws(VirtMemError) -> RAMPool.Frame
    {
        guard case .loadShared(let key) = source else {
            return try loadFrame(file, block, nil, &filled).frame
        }
        if let frame = pool.shared(key, size: file.blockSize) { return frame }
        let (frame, isOfKey) = try loadFrame(file, block, key, &filled)
        return isOfKey ? pool.share(frame, key) : frame
    }

    /// Evicts until `size` more bytes of frames fit in the budget.
    ///
    /// What other threads fill or give back just now is neither evictable nor here
    /// to stay; for its sake nobody fails, and the budget is passed for a moment.
    private func makeRoomForFrame(_ size: Int, _ what: String) throws(VirtMemError) {
        var attempts = 0
        while true {
            // Read before the look at what can be evicted, so that nothing is missed in between.
            let onTheirWay = pool.bytesOnTheirWay.load(ordering: .sequentiallyConsistent)
            let missing = pool.usedBytes + size - pool.budget
            if missing <= 0 { return }
            // Other loads may take what this one frees, so it looks again, as long
            // as there is anything to free.
            if try locked({ state throws(VirtMemError) in try state.reclaimFrames(missing) }) > 0 { continue }
            if pool.usedBytes + size - pool.budget <= max(onTheirWay, 0) { return }
            attempts += 1
            if attempts == 3 {
                throw .outOfMemory(
                    doing: "loading \(what): all \(pool.budget) bytes of the RAM pool are in use",
                    errno: outOfMemoryCode)
            }
        }
    }

    /// Has the backend fill a frame of the RAM pool. Says whether it has what `key` names.
    private func loadFrame(_ file: any BigFile, _ block: Int, _ key: FrameKey?, _ filled: inout Int)
        throws(VirtMemError) -> (frame: RAMPool.Frame, isOfKey: Bool)
    {
        let size = file.blockSize
        try makeRoomForFrame(size, "block \(block) of \(file)")
        pool.bytesOnTheirWay.add(size, ordering: .sequentiallyConsistent)
        filled += size
        let frame = try pool.allocate(size)
        do {
            let isOfKey = try unsafe pool.withBytes(of: frame) { bytes in
                do {
                    return try inCallback("loadblk") {
                        if let key { return try unsafe file.loadblk(block, of: key, into: bytes) }
                        try unsafe file.loadblk(block, into: bytes)
                        return false
                    }
                } catch {
                    throw VirtMemError.loadFailed(file: file.description, block: block, cause: error)
                }
            }
            return (frame, isOfKey)
        } catch let error as VirtMemError {
            pool.release(frame)
            throw error
        } catch {
            pool.release(frame)
            throw .loadFailed(file: file.description, block: block, cause: error)
        }
    }
}
