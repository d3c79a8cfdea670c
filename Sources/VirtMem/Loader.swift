/// Finds the content of a ticket's blocks: the part of loading that runs
/// without V, and may take as long as the backend needs.
extension Engine {
    /// Loads the blocks of `ticket` and maps them.
    func load(_ ticket: LoadTicket) throws(VirtMemError) {
        let contents: [LoadedContent]
        do throws(VirtMemError) {
            contents = try self.contents(of: ticket)
        } catch {
            locked { $0.fail(ticket) }
            throw error
        }
        try locked { state throws(VirtMemError) in try state.complete(ticket, contents) }
    }

    private func contents(of ticket: LoadTicket) throws(VirtMemError) -> [LoadedContent] {
        let file = ticket.file
        let sources: [BlockSource]
        do {
            sources = try inCallback("an extent look-up") { try file.sources(of: ticket.blocks) }
            precondition(
                sources.count == ticket.blocks.count, "\(file): sources(of:) must answer for every block")
        } catch {
            throw .loadFailed(file: file.description, block: ticket.blocks.lowerBound, cause: error)
        }
        var contents: [LoadedContent] = []
        contents.reserveCapacity(sources.count)
        for (index, source) in sources.enumerated() {
            let isDemanded = ticket.demanded.contains(ticket.blocks.lowerBound + index)
            switch source {
            case .hole: contents.append(isDemanded ? .hole : .skipped)
            case .extents(let extents): contents.append(.extents(extents))
            case .load where !isDemanded: contents.append(.skipped)
            case .load:
                do throws(VirtMemError) {
                    contents.append(.frame(try loadFrame(file, ticket.blocks.lowerBound + index)))
                } catch {
                    for case .frame(let frame) in contents { pool.release(frame) }
                    throw error
                }
            }
        }
        return contents
    }

    /// Has the backend fill a frame of the RAM pool.
    private func loadFrame(_ file: any BigFile, _ block: Int) throws(VirtMemError) -> RAMPool.Frame {
        let size = file.blockSize
        if pool.usedBytes + size > pool.budget {
            try locked { state throws(VirtMemError) in try state.reclaimFrames(size) }
            if pool.usedBytes + size > pool.budget {
                throw .outOfMemory(
                    doing:
                        "loading block \(block) of \(file): all \(pool.budget) bytes of the RAM pool are in use",
                    errno: outOfMemoryCode)
            }
        }
        let frame = try pool.allocate(size)
        do {
            try unsafe pool.withBytes(of: frame) { bytes in
                try inCallback("loadblk") { try unsafe file.loadblk(block, into: bytes) }
            }
        } catch let error as VirtMemError {
            pool.release(frame)
            throw error
        } catch {
            pool.release(frame)
            throw .loadFailed(file: file.description, block: block, cause: error)
        }
        return frame
    }
}
