/// Whether and how an array's blocks are compressed in the file.
///
/// A compressed block is not mapped from the file but decompressed into memory that all
/// connections of the process share. What compression would not make smaller by an eighth is stored
/// as it is.
public struct ArrayCompression: Hashable, Sendable, LosslessStringConvertible {
    /// What ``zstd(level:)`` takes: the highest compress best and slowest.
    public static let levels = 1...19

    /// Blocks are stored as they are, to be mapped without a copy.
    public static let none = ArrayCompression(level: 0)
    /// zstd with the default level, 3. Lower ones are faster, but what they make of floating-point
    /// numbers differs from block to block.
    public static let zstd = ArrayCompression(level: 3)
    /// zstd, with the bytes of the elements shuffled before where that helps. A level that is not
    /// in ``levels`` becomes the nearest that is.
    public static func zstd(level: Int) -> ArrayCompression {
        ArrayCompression(level: min(max(level, levels.lowerBound), levels.upperBound))
    }

    /// The level; 0 for none.
    public let level: Int

    private init(level: Int) { self.level = level }

    /// Reads `none`, `zstd` and `zstd:LEVEL`.
    public init?(_ description: String) {
        if description == "none" {
            self = .none
        } else if description == "zstd" {
            self = .zstd
        } else if description.hasPrefix("zstd:"), let level = Int(description.dropFirst(5)),
            Self.levels.contains(level)
        {
            self.init(level: level)
        } else {
            return nil
        }
    }

    /// `none` or `zstd:LEVEL`.
    public var description: String { level == 0 ? "none" : "zstd:\(level)" }

    /// For elements of a size; nil for none.
    func blocks(elementSize: Int) -> BlockCompression? {
        level == 0 ? nil : BlockCompression(level: level, elementSize: elementSize)
    }
}
