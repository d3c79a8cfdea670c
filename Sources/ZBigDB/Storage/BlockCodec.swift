/// How the payload of a block record is encoded.
enum BlockCodec: UInt8, Sendable {
    /// As it is: it can be mapped.
    case none = 0
}
