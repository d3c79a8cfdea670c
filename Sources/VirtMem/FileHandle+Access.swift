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
    /// - Throws: as ``withUnsafeBytes(of:_:)``,
    ///   ``VirtMemError/writeoutInProgress(file:action:)`` during a writeout (behaviours D13, D14), and
    ///   ``VirtMemError/spillFailed(file:block:cause:)`` if the dirty budget has no room left
    ///   and none could be made.
    public func withUnsafeMutableBytes<R>(
        of bytes: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws -> R
    ) throws -> R {
        let blocks = try makePresent(bytes, .write)
        defer { engine.locked { $0.unpin(id, blocks) } }
        return try unsafe body(
            UnsafeMutableRawBufferPointer(start: baseAddress + bytes.lowerBound, count: bytes.count))
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
        do throws(VirtMemError) {
            while next < all.upperBound {
                let event = Event()
                let result = engine.locked { state -> (Result<Look, VirtMemError>, Int) in
                    var progress = 0
                    let look = Result<Look, VirtMemError> { () throws(VirtMemError) in
                        try state.look(
                            id, next..<all.upperBound, access, pin: true, progress: &progress,
                            waiter: { .thread(event) })
                    }
                    return (look, progress)
                }
                next += result.1
                switch try result.0.get() {
                case .ready: break
                case .gone: throw .closed(file: name)
                case .wait: event.wait()
                case .makeRoom(let request): try engine.makeRoom(request)
                case .load(var ticket):
                    if access == .write { ticket.filled = filled }
                    next = try engine.load(ticket)
                }
            }
        } catch {
            engine.locked { $0.unpin(id, all.lowerBound..<next) }
            throw error
        }
        return all
    }
}
