/// How the payload of a block record is encoded.
enum BlockCodec: UInt8, Sendable {
    /// As it is: it can be mapped.
    case none = 0
    /// Frames of zstd, one after the other.
    case zstd = 1
    /// The same, with the bytes of the elements shuffled before.
    case shuffledZstd = 2
}

/// How blocks are to be compressed, where it pays.
struct BlockCompression: Equatable, Sendable {
    /// Larger elements are not shuffled.
    static let mostElementBytes = 256

    /// Of zstd.
    let level: Int
    /// Bytes of the array's elements.
    let elementSize: Int

    init(level: Int, elementSize: Int) {
        self.level = level
        self.elementSize = elementSize <= Self.mostElementBytes ? elementSize : 1
    }
}
