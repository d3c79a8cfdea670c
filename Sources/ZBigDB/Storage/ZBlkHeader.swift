/// The three kinds of ZBlk record (FORMAT.md).
enum ZBlkKind: UInt8, Sendable {
    /// One block, trailing zero pages left out.
    case full = 1
    /// Consecutive blocks.
    case extent = 2
    /// The changed pages of one block.
    case delta = 3
}

/// The header of a ZBlk record: 64 bytes, a CRC-32C for each payload page, and
/// zeros up to the payload. A record lies 16 bytes into a page of the file, so
/// a payload offset of a page less 16 bytes puts the payload on a page boundary.
struct ZBlkHeader: Equatable, Sendable {
    static let magic: UInt32 = 0x6b6c_425a  // "ZBlk" read as little endian
    static let version: UInt16 = 1
    static let fixedSize = 64

    var kind: ZBlkKind
    var pageSize: Int
    var payloadOffset: Int
    /// Pages in each block, stored or not.
    var pagesPerBlock: Int
    var blockCount: Int
    /// The array the blocks belong to, and the number of the first.
    var oid: OID
    var firstBlock: Int
    /// One for each stored page.
    var checksums: [UInt32]

    var payloadPages: Int { checksums.count }
    var payloadSize: Int { payloadPages * pageSize }

    /// What an array record says of the first block of this record.
    func descriptor(_ id: BlockID) -> BlockDescriptor {
        BlockDescriptor(kind: kind, block: id, offset: UInt32(payloadOffset), pages: UInt32(payloadPages))
    }

    /// The first payload offset that leaves room for `pages` checksums and is
    /// 16 bytes short of a page boundary.
    static func payloadOffset(pages: Int, pageSize: Int) -> Int {
        let needed = fixedSize + 4 * pages + 16
        return (needed + pageSize - 1) / pageSize * pageSize - 16
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(Self.magic)
        writer.integer(Self.version)
        writer.byte(kind.rawValue)
        writer.byte(UInt8(pageSize.trailingZeroBitCount))
        writer.integer(UInt32(0))  // the header's own checksum, below
        writer.integer(UInt32(payloadOffset))
        writer.integer(UInt32(pagesPerBlock))
        writer.integer(UInt32(blockCount))
        writer.integer(UInt32(payloadPages))
        writer.integer(UInt32(0))  // flags
        writer.integer(oid.rawValue)
        writer.integer(UInt64(firstBlock))
        writer.integer(UInt64(payloadSize))
        writer.integer(UInt64(0))
        for checksum in checksums { writer.integer(checksum) }
        var bytes = writer.bytes
        bytes += [UInt8](repeating: 0, count: payloadOffset - bytes.count)
        let own = CRC32C.checksum(bytes)
        for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: own >> UInt32(8 * index)) }
        return bytes
    }

    /// Reads and checks a header at the start of `record`.
    init(decoding record: UnsafeRawBufferPointer) throws(Damage) {
        guard record.count >= Self.fixedSize else { throw Damage("shorter than a header") }
        func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
            unsafe T(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: type))
        }
        guard load(0, UInt32.self) == Self.magic else { throw Damage("no ZBlk magic") }
        guard load(4, UInt16.self) == Self.version else {
            throw Damage("unknown version \(load(4, UInt16.self))")
        }
        guard let kind = ZBlkKind(rawValue: load(6, UInt8.self)) else { throw Damage("unknown kind") }
        let shift = Int(load(7, UInt8.self))
        let offset = Int(load(12, UInt32.self))
        let pages = Int(load(24, UInt32.self))
        guard (9...24).contains(shift), offset >= Self.fixedSize + 4 * pages,
            record.count >= offset + pages << shift
        else { throw Damage("impossible sizes") }

        let fields = unsafe UnsafeRawBufferPointer(rebasing: record[0..<8])
        var own = unsafe CRC32C.checksum(fields)
        own = CRC32C.checksum([0, 0, 0, 0], seed: own)
        own = unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[12..<offset]), seed: own)
        guard own == load(8, UInt32.self) else { throw Damage("the header's checksum is wrong") }

        self.kind = kind
        pageSize = 1 << shift
        payloadOffset = offset
        pagesPerBlock = Int(load(16, UInt32.self))
        blockCount = Int(load(20, UInt32.self))
        oid = OID(rawValue: load(32, UInt64.self))
        firstBlock = Int(truncatingIfNeeded: load(40, UInt64.self))
        checksums = (0..<pages).map { load(Self.fixedSize + 4 * $0, UInt32.self) }
    }

    init(
        kind: ZBlkKind, pageSize: Int, pagesPerBlock: Int, blockCount: Int, oid: OID, firstBlock: Int,
        checksums: [UInt32]
    ) {
        self.kind = kind
        self.pageSize = pageSize
        self.pagesPerBlock = pagesPerBlock
        self.blockCount = blockCount
        self.oid = oid
        self.firstBlock = firstBlock
        self.checksums = checksums
        payloadOffset = Self.payloadOffset(pages: checksums.count, pageSize: pageSize)
    }

    /// The pages whose bytes do not match their checksum, counted from the payload's start.
    func damagedPages(_ record: UnsafeRawBufferPointer) -> [Int] {
        let payload = unsafe UnsafeRawBufferPointer(
            rebasing: record[payloadOffset..<(payloadOffset + payloadSize)])
        let found = unsafe CRC32C.pages(payload, pageSize: pageSize)
        return (0..<payloadPages).filter { found[$0] != checksums[$0] }
    }

    /// What is wrong with a record.
    struct Damage: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}

extension CRC32C {
    static func checksum(_ bytes: [UInt8], seed: UInt32) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0, seed: seed) }
    }
}
