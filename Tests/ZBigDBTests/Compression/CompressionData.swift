import Foundation

@testable import ZBigDB

/// Bytes of a kind, to be compressed.
enum CompressionData: CaseIterable {
    /// Elements that grow slowly: gets small with shuffled bytes.
    case counting
    /// Few different values: gets small as it is.
    case readings
    /// Random bits: does not get small.
    case noise
    /// Zeros, and a few bytes of other values.
    case sparse

    func bytes(_ count: Int, elementSize: Int, _ random: inout ArrayRandom) -> [UInt8] {
        let start = UInt64.random(in: 0...1 << 40, using: &random)
        switch self {
        case .counting:
            return (0..<count).map { at in
                let value = start &+ UInt64(at / elementSize) &* 3
                return UInt8(truncatingIfNeeded: value >> UInt64(8 * min(at % elementSize, 7)))
            }
        case .readings:
            let words = (0..<16).map { _ in
                (0..<elementSize).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            var bytes: [UInt8] = []
            while bytes.count < count { bytes += words[Int.random(in: 0..<16, using: &random)] }
            return Array(bytes.prefix(count))
        case .noise: return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        case .sparse:
            var bytes = [UInt8](repeating: 0, count: count)
            for _ in 0..<count / 1000 where count > 0 {
                bytes[Int.random(in: 0..<count, using: &random)] = 7
            }
            return bytes
        }
    }
}

extension Database {
    /// The recipes of an array's stored blocks.
    func recipes(_ array: BigArray) throws -> [BlockRecipe] {
        guard let oid = array.file.oid else { return [] }
        return try LMDBSnapshot(openStorage()).parts(of: oid, from: [], limit: 100_000).compactMap {
            $0.value.recipe
        }
    }

    /// How the parts of an array's blocks are encoded.
    func codecs(_ array: BigArray) throws -> Set<BlockCodec> {
        Set(try recipes(array).flatMap { $0.parts.map(\.codec) })
    }
}
