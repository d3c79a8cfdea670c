// Writeout, discard, invalidate: what happens to dirty blocks, under V.

extension EngineState {
    /// Starts a writeout: the dirty list is fixed and write-protected until its
    /// end (behaviours D11 to D16). Returns the dirty blocks, ascending.
    mutating func beginWriteout(_ handle: HandleState) throws(VirtMemError) -> [Int] {
        try refuseDuringWriteout(handle, "start another writeout")
        // Its pointer would lead to memory that cannot be written.
        if handle.scopedWrites > 0 {
            throw .accessInProgress(file: handle.name, action: "write out changes")
        }
        let numbers = handle.dirty.sorted()
        for run in HandleState.runs(numbers) {
            let code = seal(handle, run)
            if code != 0 {
                throw .outOfMemory(doing: "write-protecting blocks \(run) of \(handle.name)", errno: code)
            }
        }
        for number in numbers { handle.blocks[number]?.wasStored = false }
        handle.isWritingOut = true
        return numbers
    }

    /// `storeblk` took block `number`, whose private copies are `written`, if that is known.
    func stored(_ handle: HandleState, _ number: Int, written: PageSet?) {
        guard let block = handle.blocks[number] else { return }
        block.isStored = true
        block.wasStored = true
        block.written = written
    }

    /// Turns dirty blocks clean, except those written to again after they were
    /// stored. Those keep their change and stay dirty.
    mutating func markStored(_ handle: HandleState, _ numbers: [Int]) {
        for number in numbers {
            guard let block = handle.blocks[number], block.state == .dirty else { continue }
            if !block.isSealed {
                // Never sealed: marked clean without a STORE (behaviour C20).
                let address = unsafe handle.address(of: number)
                let code = unsafe Mapping.protect(address, handle.blockSize, Mapping.readOnly)
                if code != 0 { continue }  // rather dirty than changed without notice
            }
            noteClean(handle, block)
            block.isDetached = true
            block.isReloadable = false
        }
    }

    /// Dirty blocks written to after they were stored: what is stored is newer than the file they show.
    func detachWrittenAgain(_ handle: HandleState) {
        for number in handle.dirty {
            guard let block = handle.blocks[number], block.wasStored else { continue }
            block.wasStored = false
            block.isDetached = true
            block.isReloadable = false
        }
    }

    /// The dirty blocks that MARKSTORED may mark: all, or after a STORE those
    /// that were not written to again.
    func markable(_ handle: HandleState, storedBefore: Bool) -> [Int] {
        handle.dirty.sorted().filter { number in
            guard let block = handle.blocks[number] else { return false }
            return !storedBefore || block.isStored
        }
    }

    /// Drops every change: the clean bytes show again.
    mutating func discard(_ handle: HandleState) throws(VirtMemError) {
        try refuseDuringWriteout(handle, "discard")
        let numbers = handle.dirty.sorted()
        // Private copies over older file content cannot just be dropped.
        let detached = numbers.filter { handle.blocks[$0]?.isDetached == true }
        try makeAbsent(handle, detached)
        for run in HandleState.runs(handle.dirty.sorted()) {
            let address = unsafe handle.address(of: run.lowerBound)
            let length = run.count * handle.blockSize
            // Protected first: a write that comes in between must fault and make dirty again.
            var code = seal(handle, run)
            if code == 0 { code = unsafe Mapping.dropPrivateCopies(address, length) }
            if code != 0 {
                throw .outOfMemory(doing: "discarding blocks \(run) of \(handle.name)", errno: code)
            }
            for number in run {
                guard let block = handle.blocks[number] else { continue }
                noteClean(handle, block)
                if block.isEvictable { recency.append(block) }
            }
        }
    }

    /// Makes blocks absent because their content changed elsewhere.
    mutating func invalidate(_ handle: HandleState, _ numbers: [Int]) throws(VirtMemError) {
        try refuseDuringWriteout(handle, "invalidate blocks")
        try makeAbsent(handle, numbers)
    }

    /// Maps stored blocks from the extents that hold them now.
    mutating func rebase(_ handle: HandleState, _ run: Range<Int>, _ sources: [BlockSource])
        throws(VirtMemError)
    {
        try makeAbsent(handle, Self.unbacked(handle, run, sources))
        var writer = SegmentWriter(zero: zeroDescriptor)
        var rebased: [Block] = []
        for (number, source) in zip(run, sources) {
            guard let block = handle.blocks[number], block.isDetached, block.state == .loaded else {
                continue
            }
            let content: LoadedContent
            switch source {
            case .load, .loadShared:
                block.isReloadable = true
                if block.isEvictable { recency.append(block) }
                continue
            case .hole: content = .hole
            case .extents(let extents): content = .extents(extents)
            }
            // Most of it stays as it is: the entries of its pages, too.
            unsafe writer.add(
                content, over: block.clean, written: block.written, at: handle.address(of: number),
                size: handle.blockSize, pool: poolDescriptor)
            areas += writer.areasOfLast - block.areas
            block.areas = writer.areasOfLast
            block.clean = content
            rebased.append(block)
        }
        let code = writer.map(Mapping.readOnly)
        if code != 0 {
            try makeAbsent(handle, rebased.map(\.number))
            return
        }
        for block in rebased {
            block.isDetached = false
            block.written = nil
            if let frame = block.frame { drop(frame) }
            block.frame = nil
            if block.isEvictable { recency.append(block) }
        }
    }

    /// Detached blocks that can only be copied from now on: pages not written still show the
    /// backend's file, where others may be written to the old place.
    private static func unbacked(_ handle: HandleState, _ run: Range<Int>, _ sources: [BlockSource])
        -> [Int]
    {
        zip(run, sources).compactMap { number, source in
            guard source.isLoad, let block = handle.blocks[number], block.isDetached,
                block.state == .loaded, case .extents = block.clean
            else { return nil }
            return number
        }
    }

    func refuseDuringWriteout(_ handle: HandleState, _ action: String) throws(VirtMemError) {
        if handle.isWritingOut {
            throw .writeoutInProgress(file: handle.name, action: action)
        }
    }
}
