internal import VirtMem

/// The three kinds of ZBlk record (FORMAT.md).
enum ZBlkKind: UInt8, Sendable {
    /// One block from its first page on; pages behind the stored ones are left out.
    case full = 1
    /// Consecutive blocks.
    case extent = 2
    /// Some pages of one block.
    case delta = 3
}

/// The header of a ZBlk record: 64 bytes, a CRC-32C for each payload page, for
/// deltas a bitmap of pages, and zeros up to the payload. A record lies 16 bytes
/// into a page of the file, so a payload offset of a page less 16 bytes puts the
/// payload on a page boundary.
struct ZBlkHeader: Equatable, Sendable {
    static let magic: UInt32 = 0x6b6c_425a  // "ZBlk" read as little endian
    static let version: UInt16 = 2
    static let fixedSize = 64

    var kind: ZBlkKind
    var codec = BlockCodec.none
    /// What the array wants, whether it paid for this payload or not: what rewrites it needs to know.
    var compression: BlockCompression?
    var pageSize: Int
    var payloadOffset: Int
    /// Pages in each block, stored or not.
    var pagesPerBlock: Int
    var blockCount: Int
    /// The array the blocks belong to, and the number of the first.
    var oid: OID
    var firstBlock: Int
    /// Bytes of the payload. Less than its pages have only where it is compressed.
    var payloadSize: Int
    /// Which pages of the block the payload has; only in a delta.
    var pages: PageSet?
    /// One for each payload page.
    var checksums: [UInt32]
    /// Pages of blocks that the payload has: as many as it takes itself, unless it is compressed.
    var contentPages: Int

    var payloadPages: Int { checksums.count }

    /// The first payload offset that leaves room for what comes before, and is
    /// 16 bytes short of a page boundary.
    static func payloadOffset(kind: ZBlkKind, pages: Int, pagesPerBlock: Int, pageSize: Int) -> Int {
        let bitmap = kind == .delta ? (pagesPerBlock + 63) / 64 * 8 : 0
        let needed = fixedSize + 4 * pages + bitmap + 16
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
        writer.byte(codec.rawValue)
        writer.byte(UInt8(compression?.level ?? 0))
        writer.integer(UInt16(compression?.elementSize ?? 0))
        writer.integer(oid.rawValue)
        writer.integer(UInt64(firstBlock))
        writer.integer(UInt64(payloadSize))
        writer.integer(UInt32(codec == .none ? 0 : contentPages))
        writer.integer(UInt32(0))
        for checksum in checksums { writer.integer(checksum) }
        if let pages { for word in pages.bitmap { writer.integer(word) } }
        var bytes = writer.bytes
        let own = CRC32C.checksum(bytes)
        for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: own >> UInt32(8 * index)) }
        bytes += [UInt8](repeating: 0, count: payloadOffset - bytes.count)
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
        guard let codec = BlockCodec(rawValue: load(28, UInt8.self)) else {
            throw Damage("unknown compression")
        }
        let level = Int(load(29, UInt8.self))
        let elementSize = Int(load(30, UInt16.self))
        let shift = Int(load(7, UInt8.self))
        let offset = Int(load(12, UInt32.self))
        let blockPages = Int(load(16, UInt32.self))
        let count = Int(load(20, UInt32.self))
        let pages = Int(load(24, UInt32.self))
        let words = kind == .delta ? (blockPages + 63) / 64 : 0
        let size = load(48, UInt64.self)
        guard (9...24).contains(shift), (1...1 << 18).contains(blockPages), (1...1 << 16).contains(count),
            offset >= Self.fixedSize + 4 * pages + 8 * words, record.count >= offset + pages << shift,
            size <= UInt64(pages << shift), codec != .none || size == UInt64(pages << shift)
        else { throw Damage("impossible sizes") }
        let content = codec == .none ? pages : Int(load(56, UInt32.self))
        if codec != .none {
            guard kind != .extent, (1...blockPages).contains(content), (1...content).contains(pages),
                size > UInt64((pages - 1) << shift), level > 0
            else { throw Damage("impossible sizes") }
        }

        let fields = unsafe UnsafeRawBufferPointer(rebasing: record[0..<8])
        var own = unsafe CRC32C.checksum(fields)
        own = CRC32C.checksum([0, 0, 0, 0], seed: own)
        // Not the zeros behind it, of which an extent may have 2 MiB.
        let end = Self.fixedSize + 4 * pages + 8 * words
        own = unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[12..<end]), seed: own)
        guard level == 0 || (1...BlockCompression.mostElementBytes).contains(elementSize) else {
            throw Damage("impossible elements")
        }
        guard own == load(8, UInt32.self) else { throw Damage("the header's checksum is wrong") }

        self.kind = kind
        self.codec = codec
        compression = level == 0 ? nil : BlockCompression(level: level, elementSize: elementSize)
        contentPages = content
        pageSize = 1 << shift
        payloadOffset = offset
        pagesPerBlock = blockPages
        blockCount = count
        oid = OID(rawValue: load(32, UInt64.self))
        firstBlock = Int(truncatingIfNeeded: load(40, UInt64.self))
        payloadSize = Int(size)
        checksums = (0..<pages).map { load(Self.fixedSize + 4 * $0, UInt32.self) }
        if kind == .delta {
            let bitmap = (0..<words).map { load(Self.fixedSize + 4 * pages + 8 * $0, UInt64.self) }
            self.pages = PageSet(pageCount: blockPages, bitmap: bitmap)
        }
    }

    init(
        kind: ZBlkKind, codec: BlockCodec = .none, pageSize: Int, pagesPerBlock: Int, blockCount: Int = 1,
        oid: OID, firstBlock: Int, pages: PageSet? = nil, checksums: [UInt32], payloadOffset: Int? = nil,
        payloadSize: Int? = nil, compression: BlockCompression? = nil, contentPages: Int? = nil
    ) {
        self.kind = kind
        self.codec = codec
        self.pageSize = pageSize
        self.pagesPerBlock = pagesPerBlock
        self.blockCount = blockCount
        self.oid = oid
        self.firstBlock = firstBlock
        self.pages = pages
        self.checksums = checksums
        self.compression = compression
        self.contentPages = contentPages ?? checksums.count
        self.payloadSize = payloadSize ?? checksums.count * pageSize
        self.payloadOffset =
            payloadOffset
            ?? Self.payloadOffset(
                kind: kind, pages: checksums.count, pagesPerBlock: pagesPerBlock, pageSize: pageSize)
    }

    /// The payload pages whose bytes do not match their checksum, of those in `slots`.
    func damagedPages(_ record: UnsafeRawBufferPointer, _ slots: Range<Int>? = nil) -> [Int] {
        let slots = (slots ?? 0..<payloadPages).clamped(to: 0..<payloadPages)
        let start = payloadOffset + slots.lowerBound * pageSize
        let payload = unsafe UnsafeRawBufferPointer(
            rebasing: record[start..<(start + slots.count * pageSize)])
        let found = unsafe CRC32C.pages(payload, pageSize: pageSize)
        return slots.filter { found[$0 - slots.lowerBound] != checksums[$0] }
    }

    /// What is wrong with a record.
    struct Damage: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}
