// What a transaction does with the changes of a handle.

extension FileHandle {
    /// Stores the dirty blocks, marks them clean, or both.
    ///
    /// `.store` calls ``BigFile/storeblk(_:bytes:changed:)`` for each changed block
    /// in ascending order with the engine's lock released, and before that
    /// ``BigFile/willStore(_:changedPages:)`` for each run of them; the blocks stay
    /// dirty and writable. `.markStored` turns them clean without calling anybody; after
    /// a `.store`, blocks written to since keep their change and stay dirty. While
    /// it runs, a change through this handle is refused, as are discard,
    /// invalidation and another writeout (behaviours C18 to C27, D11 to D16).
    ///
    /// A page written with the bytes it had counts as changed.
    ///
    /// - Throws: ``VirtMemError/storeFailed(file:block:cause:)``; with both flags the
    ///   blocks stored before are clean, the others dirty. ``VirtMemError/invalidWriteoutFlags(_:)``.
    ///   ``VirtMemError/accessInProgress(file:action:)`` for a `.store` during a scoped write.
    /// - Complexity: O(dirty blocks).
    public func writeout(_ flags: WriteoutFlags) throws(VirtMemError) {
        try engine.refuseInChild(name)
        guard !flags.isEmpty, flags.isSubset(of: [.store, .markStored]) else {
            throw .invalidWriteoutFlags(flags.rawValue)
        }
        guard flags.contains(.store) else {
            try engine.lockedBetweenSpills(id, name, to: "mark blocks stored") {
                state, handle throws(VirtMemError) in
                try state.refuseDuringWriteout(handle, "mark blocks stored")
                state.markStored(handle, state.markable(handle, storedBefore: handle.hasStored))
                state.detachWrittenAgain(handle)
                handle.hasStored = false
            }
            return
        }
        let numbers = try engine.lockedBetweenSpills(id, name, to: "start a writeout") {
            state, handle throws(VirtMemError) in
            try state.beginWriteout(handle)
        }
        var failure: VirtMemError?
        do throws(VirtMemError) {
            let most = max(64, Self.announcedBytes / blockSize)
            for run in HandleState.runs(numbers, ofAtMost: most) { try store(run, flags) }
        } catch {
            failure = error
        }
        engine.locked { state in
            guard let handle = state.handles[id] else { return }
            handle.isWritingOut = false
            // After a failure, too: a later mark must spare what was not stored.
            handle.hasStored = failure != nil || !flags.contains(.markStored)
        }
        if let failure { throw failure }
    }

    /// Drops every change. Clean blocks stay as they are, also those that show what
    /// was spilled: the client, which knows them, invalidates them.
    ///
    /// - Throws: ``VirtMemError/writeoutInProgress(file:action:)`` (behaviour D12).
    /// - Complexity: O(dirty blocks).
    public func discard() throws(VirtMemError) {
        try engine.refuseInChild(name)
        try engine.lockedBetweenSpills(id, name, to: "discard") { state, handle throws(VirtMemError) in
            try state.discard(handle)
            handle.hasStored = false
        }
    }

    /// Makes blocks absent, because their content changed elsewhere: the next
    /// access loads them again. A change in them is lost. Blocks that are not
    /// present are passed over; a load under way starts again (behaviours C29 to C33).
    ///
    /// If a ``DirtyBudget`` is shared, a change that is there when the backend begins to
    /// answer with the new content may be spilled on top of that by another thread: end the changes
    /// first, or have the backend forget what was spilled of these blocks.
    ///
    /// - Throws: ``VirtMemError/writeoutInProgress(file:action:)`` (behaviour D15).
    public func invalidate(_ blocks: some Sequence<Int>) throws(VirtMemError) {
        try engine.refuseInChild(name)
        let numbers = blocks.sorted()
        try engine.lockedBetweenSpills(id, name, to: "invalidate blocks") {
            state, handle throws(VirtMemError) in
            try state.invalidate(handle, numbers)
        }
    }

    /// Makes every block absent, from `first` on.
    public func invalidate(from first: Int) throws(VirtMemError) {
        try engine.refuseInChild(name)
        try engine.lockedBetweenSpills(id, name, to: "invalidate blocks") {
            state, handle throws(VirtMemError) in
            var numbers: [Int] = []
            handle.blocks.forEach { number, _ in if number >= first { numbers.append(number) } }
            try state.invalidate(handle, numbers)
        }
    }

    /// Makes every block absent.
    public func invalidateAll() throws(VirtMemError) { try invalidate(from: 0) }

    /// Shows blocks that were marked stored from where the backend has them now,
    /// and gives the private copies back to the system. Call it once the
    /// backend's snapshot contains what was stored; the bytes do not change.
    ///
    /// Blocks the backend can only copy keep their memory, but may be evicted from
    /// now on; the pages changed before count as changed again with their next change. Those
    /// that were mapped from a file until now become absent.
    public func rebase() throws(VirtMemError) {
        try engine.refuseInChild(name)
        let numbers = engine.locked { state -> [Int] in
            var found: [Int] = []
            state.handles[id]?.blocks.forEach { number, block in
                if block.isDetached, block.state == .loaded { found.append(number) }
            }
            return found
        }
        for run in HandleState.runs(numbers) {
            let sources: [BlockSource]
            do {
                sources = try inCallback("an extent look-up") { try file.sources(of: run) }
            } catch {
                throw .loadFailed(file: file.description, block: run.lowerBound, cause: error)
            }
            try engine.locked { state throws(VirtMemError) in
                try state.rebase(try state.handle(id, name), run, sources)
            }
        }
    }

    /// What comes next is said for runs of so many bytes, or 64 blocks.
    private static let announcedBytes = 64 << 20

    /// Stores neighbouring dirty blocks.
    private func store(_ run: Range<Int>, _ flags: WriteoutFlags) throws(VirtMemError) {
        var changed: [PageSet] = []
        var written: [PageSet?] = []
        for number in run {
            let clean = engine.locked { state -> LoadedContent? in
                guard let block = state.handles[id]?.blocks[number], !block.isDetached else { return nil }
                return block.clean
            }
            let address = unsafe baseAddress + number * blockSize
            let copies = unsafe engine.pageMap.writtenPages(address, blockSize)
            written.append(copies)
            changed.append(try unsafe engine.changedPages(clean, address, blockSize, written: copies))
        }
        inCallback("willStore") { file.willStore(run, changedPages: changed.map(\.count)) }
        for (number, (pages, written)) in zip(run, zip(changed, written)) {
            if !pages.isEmpty { try store(number, pages) }
            engine.locked { state in
                guard let handle = state.handles[id] else { return }
                state.stored(handle, number, written: written)
                if flags.contains(.markStored) { state.markStored(handle, [number]) }
            }
        }
    }

    private func store(_ number: Int, _ changed: PageSet) throws(VirtMemError) {
        let bytes = unsafe UnsafeRawBufferPointer(
            start: baseAddress + number * blockSize, count: blockSize)
        do {
            try inCallback("storeblk") { try unsafe file.storeblk(number, bytes: bytes, changed: changed) }
        } catch {
            throw .storeFailed(file: file.description, block: number, cause: error)
        }
    }
}
