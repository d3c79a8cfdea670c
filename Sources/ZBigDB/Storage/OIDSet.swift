/// A set of object numbers that takes a bit for each where they are dense.
struct OIDSet: Sendable {
    private static let chunkWords = 64
    private var chunks: [UInt64: [UInt64]] = [:]

    func contains(_ oid: OID) -> Bool {
        let (chunk, word, bit) = Self.place(oid)
        return chunks[chunk].map { $0[word] & bit != 0 } ?? false
    }

    /// Returns whether it was not there.
    mutating func insert(_ oid: OID) -> Bool {
        let (chunk, word, bit) = Self.place(oid)
        if contains(oid) { return false }
        chunks[chunk, default: Array(repeating: 0, count: Self.chunkWords)][word] |= bit
        return true
    }

    private static func place(_ oid: OID) -> (chunk: UInt64, word: Int, bit: UInt64) {
        let (chunk, rest) = oid.rawValue.quotientAndRemainder(dividingBy: UInt64(chunkWords * 64))
        return (chunk, Int(rest / 64), 1 << (rest % 64))
    }
}
