// Scoped access: the blocks are made present first, so that every error is a
// thrown one, and the memory may go to system calls.

extension FileHandle {
    /// Runs `body` with `bytes` of the file, loaded.
    ///
    /// - Throws: what `loadblk` threw, as ``VirtMemError/loadFailed(file:block:cause:)``;
    ///   ``VirtMemError/outOfReservation(file:bytes:reserved:)``; what `body` throws.
    /// - Complexity: O(blocks) for blocks that are not loaded yet, plus their loading.
    public func withUnsafeBytes<R>(of bytes: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) throws
        -> R
    {
        let blocks = try makePresent(bytes, .read)
        defer { engine.locked { $0.unpin(id, blocks) } }
        return try unsafe body(
            UnsafeRawBufferPointer(start: baseAddress + bytes.lowerBound, count: bytes.count))
    }

    /// Runs `body` with `bytes` of the file, loaded, writable and dirty.
    ///
    /// The handle cannot be written out meanwhile, as this can throw nothing any more in `body`.
    ///
    /// - Throws: as ``withUnsafeBytes(of:_:)``,
    ///   ``VirtMemError/writeoutInProgress(file:action:)`` during a writeout (behaviours D13, D14), and
    ///   ``VirtMemError/spillFailed(file:block:cause:)`` if the dirty budget has no room left
    ///   and none could be made.
    public func withUnsafeMutableBytes<R>(
        of bytes: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws -> R
    ) throws -> R {
        let blocks = try makePresent(bytes, .write)
        defer {
            engine.locked { state in
                state.unpin(id, blocks)
                if !blocks.isEmpty { state.handles[id]?.scopedWrites -= 1 }
            }
        }
        return try unsafe body(
            UnsafeMutableRawBufferPointer(start: baseAddress + bytes.lowerBound, count: bytes.count))
    }

    /// Maps blocks that are about to be read or written through ``baseAddress``, as far as few calls do for
    /// many of them. Those of large extents take a call for each, and no fault later on.
    ///
    /// Never fails, never waits for a load, and reads nothing.
    ///
    /// - Complexity: O(blocks), of which it takes some hundred.
    public func mapAhead(_ blocks: Range<Int>) {
        if isForkedChild() { return }
        engine.mapAhead(id, blocks.clamped(to: 0..<(reservedBytes / blockSize)))
    }

    /// Loads and pins the blocks that hold `bytes`; returns them.
    private func makePresent(_ bytes: Range<Int>, _ access: Access) throws(VirtMemError) -> Range<Int> {
        try engine.refuseInChild(name)
        try check(bytes)
        if bytes.isEmpty { return 0..<0 }
        let all = (bytes.lowerBound / blockSize)..<((bytes.upperBound - 1) / blockSize + 1)
        let firstFilled = (bytes.lowerBound + blockSize - 1) / blockSize
        let filled = firstFilled..<max(firstFilled, bytes.upperBound / blockSize)
        var next = all.lowerBound
        var isCounted = false
        // How many absent blocks to take at once: few, where each waits for `loadblk`.
        var claim = Self.mostClaimed
        do throws(VirtMemError) {
            while next < all.upperBound {
                var event: Event?
                let result = engine.locked { state -> (Result<Look, VirtMemError>, Int) in
                    if access == .write, !isCounted, let handle = state.handles[id] {
                        handle.scopedWrites += 1
                        isCounted = true
                    }
                    var progress = 0
                    let look = Result<Look, VirtMemError> { () throws(VirtMemError) in
                        try state.look(
                            id, next..<min(next + claim, all.upperBound), access, pin: true,
                            progress: &progress,
                            waiter: {
                                let new = Event()
                                event = new
                                return .thread(new)
                            })
                    }
                    return (look, progress)
                }
                next += result.1
                switch try result.0.get() {
                case .ready: claim = min(2 * claim, Self.mostClaimed)
                case .gone: throw .closed(file: name)
                case .wait: event?.wait()
                case .makeRoom(let request): try engine.makeRoom(request)
                case .load(var ticket):
                    if access == .write { ticket.filled = filled }
                    next = try engine.load(ticket).next
                    claim = next < ticket.demanded.upperBound ? 1 : min(2 * claim, Self.mostClaimed)
                }
            }
        } catch {
            engine.locked { state in
                state.unpin(id, all.lowerBound..<next)
                if isCounted { state.handles[id]?.scopedWrites -= 1 }
            }
            throw error
        }
        return all
    }

    private static let mostClaimed = 512
}
