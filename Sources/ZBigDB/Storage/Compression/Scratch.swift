/// Memory to work in. Buffers are used again: the system clears fresh memory page by page, which
/// takes a good part of the time that decompressing takes.
///
/// `@unchecked Sendable`: who holds it uses it alone, or in parts that do not overlap.
@safe
final class Scratch: @unchecked Sendable {
    /// Larger buffers are not kept.
    private static let mostKeptBytes = 4 << 20
    private static let pool = Pool<Memory>(keeping: 4)

    private let memory: Memory
    private let count: Int

    init(_ count: Int) {
        memory = Self.pool.take { unsafe $0.bytes.count >= count } ?? Memory(count)
        self.count = count
    }

    /// Runs `body` with as many bytes as were asked for, with anything in them.
    func withBytes<R, E: Error>(_ body: (UnsafeMutableRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try withExtendedLifetime(self) { () throws(E) in
            try unsafe body(UnsafeMutableRawBufferPointer(rebasing: memory.bytes[0..<count]))
        }
    }

    deinit { if unsafe memory.bytes.count <= Self.mostKeptBytes { Self.pool.put(memory) } }
}

/// `@unchecked Sendable`: the pool and a scratch hand it on, one has it at a time.
@safe
private final class Memory: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ count: Int) {
        unsafe bytes = .allocate(byteCount: count, alignment: 64)
    }

    deinit { unsafe bytes.deallocate() }
}
