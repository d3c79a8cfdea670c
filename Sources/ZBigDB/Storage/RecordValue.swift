/// What a record holds. The first byte tells which.
enum RecordValue: Equatable, Sendable {
    /// An object's or an entry's encoded state.
    case state([UInt8])
    /// A block of an array, stored in the block space.
    case block(BlockRecipe)
    /// The record was removed; where old versions are kept, this is the newest.
    case removed

    private static let removedTag: UInt8 = 0
    static let stateTag: UInt8 = 1
    private static let blockTag: UInt8 = 2

    /// The state in a stored value, if it is one.
    static func state(in bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        unsafe stateBytes(in: bytes).map { unsafe Array($0) }
    }

    /// The same in place.
    static func stateBytes(in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard unsafe bytes.first == stateTag else { return nil }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[1...])
    }

    /// Runs `body` with the encoded value's size and a function that writes it.
    func withEncoded<R, E: Error>(
        _ body: (_ size: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) throws(E) -> R
    ) throws(E) -> R {
        guard case .state(let bytes) = self else {
            let bytes = encoded()
            return try unsafe body(bytes.count) { unsafe $0.copyBytes(from: bytes) }
        }
        return try unsafe body(1 + bytes.count) { target in
            unsafe target[0] = Self.stateTag
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[1...]).copyBytes(from: bytes)
        }
    }

    func encoded() -> [UInt8] {
        switch self {
        case .state(let bytes): return [Self.stateTag] + bytes
        case .removed: return [Self.removedTag]
        case .block(let recipe):
            var writer = ByteWriter()
            writer.byte(Self.blockTag)
            recipe.encode(into: &writer)
            return writer.bytes
        }
    }

    init(decoding bytes: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        switch try reader.byte() {
        case Self.stateTag: self = .state(Array(bytes.dropFirst()))
        case Self.blockTag: self = .block(try BlockRecipe(decoding: &reader))
        case Self.removedTag: self = .removed
        default: throw ByteReader.Malformed()
        }
    }

    /// Whether encoded bytes are a removal's.
    static func isRemoval(_ bytes: UnsafeRawBufferPointer) -> Bool { unsafe bytes.first == removedTag }

    /// The recipe, if it is a block's.
    var recipe: BlockRecipe? {
        if case .block(let recipe) = self { return recipe }
        return nil
    }
}
