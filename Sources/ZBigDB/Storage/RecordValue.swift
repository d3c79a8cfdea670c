/// What a record holds. The first byte tells which.
///
/// 0 is kept for the removal of a record where old versions are kept, and "Z"
/// for a ZBlk record that lies in the record itself.
enum RecordValue: Equatable, Sendable {
    /// An object's or an entry's encoded state.
    case state([UInt8])
    /// A block of an array, stored in the block space.
    case block(BlockDescriptor)

    private static let stateTag: UInt8 = 1
    private static let blockTag: UInt8 = 2

    func encoded() -> [UInt8] {
        switch self {
        case .state(let bytes): return [Self.stateTag] + bytes
        case .block(let descriptor):
            var writer = ByteWriter()
            writer.byte(Self.blockTag)
            writer.byte(descriptor.kind.rawValue)
            writer.integer(descriptor.block.rawValue)
            writer.integer(descriptor.offset)
            writer.integer(descriptor.pages)
            return writer.bytes
        }
    }

    init(decoding bytes: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        switch try reader.byte() {
        case Self.stateTag:
            self = .state(Array(bytes.dropFirst()))
        case Self.blockTag:
            guard let kind = ZBlkKind(rawValue: try reader.byte()) else { throw ByteReader.Malformed() }
            let block = BlockID(rawValue: try reader.integer())
            self = .block(
                BlockDescriptor(
                    kind: kind, block: block, offset: try reader.integer(), pages: try reader.integer()))
        default:
            throw ByteReader.Malformed()
        }
    }

    /// The block record this value names.
    var referencedBlock: BlockID? {
        if case .block(let descriptor) = self { return descriptor.block }
        return nil
    }
}

/// Where a block of an array is in the block space. It says all that mapping
/// the block takes, so that its record, which may be on the disk, is not touched.
struct BlockDescriptor: Equatable, Sendable {
    let kind: ZBlkKind
    let block: BlockID
    /// Where the block's payload begins in the record: bytes.
    let offset: UInt32
    /// How many pages of it are stored; zeros follow.
    let pages: UInt32
}
