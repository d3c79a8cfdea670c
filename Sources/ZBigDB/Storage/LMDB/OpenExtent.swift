internal import VirtMem

/// An extent that is being written: consecutive blocks in one record, at
/// the same distance from a 2 MiB boundary in the file as in the address range,
/// so that the kernel can map them in pages of 2 MiB.
@safe
struct OpenExtent: Sendable {
    /// Where the kernel's large pages begin: bytes.
    static let alignment = 2 << 20
    /// Bytes of payload in an extent at most.
    static let mostBytes = 28 << 20
    /// Blocks in an extent at most.
    static func mostBlocks(of blockSize: Int) -> Int { max(mostBytes / blockSize, 1) }
    /// Fewer bytes are not worth what alignment leaves unused.
    static let fewestBytes = 16 << 20

    let id: BlockID
    private let oid: OID
    private let blocks: Range<Int>
    private let blockSize: Int
    private let payloadOffset: Int
    private var checksums: [UInt32]
    private var stored: Set<Int> = []
    /// The memory that LMDB reserved. Valid until something else is written in its transaction; the
    /// writer, which owns both, ends the extent before.
    nonisolated(unsafe) private let memory: UnsafeMutableRawBufferPointer

    private static func firstOffset(_ count: Int, _ blockPages: Int) -> Int {
        ZBlkHeader.payloadOffset(
            kind: .extent, pages: count * blockPages, pagesPerBlock: blockPages, pageSize: systemPageSize)
    }

    /// The first payload offset from `first` on where file and array agree modulo the alignment.
    static func payloadOffset(from first: Int, firstByte: Int, fileOffset: Int?) -> Int {
        guard let fileOffset else { return first }
        let distance = (firstByte - fileOffset - first) % alignment
        let padding = (distance + alignment) % alignment
        return padding % systemPageSize == 0 ? first + padding : first
    }

    /// Bytes of a record with `count` blocks, wherever it comes to lie.
    static func recordSize(_ count: Int, blockSize: Int) -> Int {
        firstOffset(count, blockSize / systemPageSize) + alignment - systemPageSize + count * blockSize
    }

    /// - Parameter fileOffset: where `memory` will be in the file; nil if that is not known, and
    ///   alignment left to chance.
    init(
        id: BlockID, oid: OID, blocks: Range<Int>, blockSize: Int, memory: UnsafeMutableRawBufferPointer,
        fileOffset: Int?
    ) {
        self.id = id
        self.oid = oid
        self.blocks = blocks
        self.blockSize = blockSize
        unsafe self.memory = memory
        let pages = blockSize / systemPageSize
        let first = Self.firstOffset(blocks.count, pages)
        payloadOffset = Self.payloadOffset(
            from: first, firstByte: blocks.lowerBound * blockSize, fileOffset: fileOffset)
        checksums = [UInt32](repeating: 0, count: blocks.count * pages)
    }

    /// Copies a block to its place.
    mutating func store(_ block: NewBlock) -> BlockPart {
        let pages = blockSize / systemPageSize
        let number = unsafe block.number
        let index = number - blocks.lowerBound
        let place = payloadOffset + index * blockSize
        let whole = unsafe NewBlock(
            oid: oid, number: number, bytes: block.bytes, pages: .all(pageCount: pages))
        if let builder = unsafe BlockRecordBuilder(whole) {
            unsafe checksums.withUnsafeMutableBufferPointer { sums in
                unsafe builder.copy(
                    to: UnsafeMutableRawBufferPointer(rebasing: memory[place..<(place + blockSize)]),
                    UnsafeMutableBufferPointer(rebasing: sums[(index * pages)..<((index + 1) * pages)]))
            }
        }
        stored.insert(number)
        return BlockPart(
            kind: .extent, block: id, offset: UInt32(place), storedPages: UInt32(pages),
            runs: [PageRun(page: 0, count: UInt32(pages), slot: 0)])
    }

    /// Writes the header, and zeros where no block was stored. Returns how many blocks were.
    consuming func finish() -> Int {
        let pages = blockSize / systemPageSize
        let zero = CRC32C.checksum([UInt8](repeating: 0, count: systemPageSize))
        for number in blocks where !stored.contains(number) {
            let index = number - blocks.lowerBound
            let place = payloadOffset + index * blockSize
            clear(place..<(place + blockSize))
            for page in (index * pages)..<((index + 1) * pages) { checksums[page] = zero }
        }
        unsafe clear((payloadOffset + blocks.count * blockSize)..<memory.count)
        let header = ZBlkHeader(
            kind: .extent, pageSize: systemPageSize, pagesPerBlock: pages, blockCount: blocks.count,
            oid: oid, firstBlock: blocks.lowerBound, checksums: checksums, payloadOffset: payloadOffset)
        unsafe memory.copyBytes(from: header.encoded())
        return stored.count
    }

    private func clear(_ range: Range<Int>) {
        _ = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[range]).initializeMemory(
            as: UInt8.self, repeating: 0)
    }
}
