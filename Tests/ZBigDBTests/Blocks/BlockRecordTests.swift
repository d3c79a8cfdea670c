import Testing
import VirtMem

@testable import ZBigDB

@Suite("Block records of all kinds")
struct BlockRecordTests {
    private static let page = 4096

    private func bytes(_ count: Int, _ random: inout ArrayRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for _ in 0..<(count / 8) { withUnsafeBytes(of: random.next()) { bytes += $0 } }
        return bytes
    }

    /// The checksum of each page, each computed alone.
    private func checksums(_ bytes: [UInt8]) -> [UInt32] {
        stride(from: 0, to: bytes.count, by: Self.page).map { start in
            CRC32C.checksum(Array(bytes[start..<(start + Self.page)]))
        }
    }

    /// A header of each kind, and its record.
    private func sample(_ kind: ZBlkKind, _ random: inout ArrayRandom) -> (ZBlkHeader, [UInt8]) {
        let blockPages = [16, 65, 512][Int.random(in: 0..<3, using: &random)]
        var pages = PageSet(pageCount: blockPages)
        var (blocks, stored) = (1, blockPages)
        switch kind {
        case .full: stored = .random(in: 1...blockPages, using: &random)
        case .extent:
            blocks = .random(in: 2...4, using: &random)
            stored = blocks * blockPages
        case .delta:
            for page in 0..<blockPages where random.chance(30) { pages.insert(page) }
            pages.insert(blockPages - 1)
            stored = pages.count
        }
        // Payload bytes are the same in every page: only headers are compared here.
        let content = [UInt8](repeating: 7, count: Self.page)
        let sums = Array(repeating: CRC32C.checksum(content), count: stored)
        let padding = kind == .extent ? Self.page * .random(in: 0...3, using: &random) : 0
        let offset = ZBlkHeader.payloadOffset(
            kind: kind, pages: stored, pagesPerBlock: blockPages, pageSize: Self.page)
        let header = ZBlkHeader(
            kind: kind, pageSize: Self.page, pagesPerBlock: blockPages, blockCount: blocks,
            oid: OID(rawValue: .random(in: 0...(.max), using: &random)),
            firstBlock: .random(in: 0...(1 << 44), using: &random), pages: kind == .delta ? pages : nil,
            checksums: sums, payloadOffset: offset + padding)
        return (header, header.encoded() + (0..<stored).flatMap { _ in content })
    }

    @Test("headers are read as they were written", arguments: [ZBlkKind.full, .extent, .delta])
    func roundTrip(_ kind: ZBlkKind) throws {
        var random = ArrayRandom("BlockRecordTests.roundTrip \(kind)")
        for _ in 0..<12 {
            let (header, record) = sample(kind, &random)
            #expect((header.payloadOffset + 16) % Self.page == 0)
            #expect(try record.withUnsafeBytes { try ZBlkHeader(decoding: $0) } == header)
            #expect(record.withUnsafeBytes { header.damagedPages($0) } == [])
            let slot = Int.random(in: 0..<header.payloadPages, using: &random)
            var damaged = record
            damaged[header.payloadOffset + slot * Self.page + 77] ^= 1
            #expect(damaged.withUnsafeBytes { header.damagedPages($0) } == [slot])
            #expect(damaged.withUnsafeBytes { header.damagedPages($0, 0..<slot) } == [])
            #expect(damaged.withUnsafeBytes { header.damagedPages($0, slot..<header.payloadPages) } == [slot])
        }
    }

    /// Behind checksums and bitmap come zeros that nobody reads.
    private func end(of header: ZBlkHeader) -> Int {
        let words = header.kind == .delta ? (header.pagesPerBlock + 63) / 64 : 0
        return ZBlkHeader.fixedSize + 4 * header.payloadPages + 8 * words
    }

    @Test(
        "damaged headers are refused, bitmaps and checksums included", arguments: [ZBlkKind.extent, .delta])
    func damage(_ kind: ZBlkKind) {
        var random = ArrayRandom("BlockRecordTests.damage \(kind)")
        for _ in 0..<6 {
            let (header, record) = sample(kind, &random)
            for _ in 0..<15 {
                var damaged = record
                let at = Int.random(in: 0..<end(of: header), using: &random)
                damaged[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                #expect(throws: ZBlkHeader.Damage.self) {
                    try damaged.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
                }
            }
            for length in [0, 63, 64, header.payloadOffset, record.count - 1] {
                #expect(throws: ZBlkHeader.Damage.self) {
                    try Array(record[..<length]).withUnsafeBytes { try ZBlkHeader(decoding: $0) }
                }
            }
        }
    }

    @Test("FORMAT.md: the fields are where it says", arguments: [ZBlkKind.full, .extent, .delta])
    func fields(_ kind: ZBlkKind) {
        var random = ArrayRandom("BlockRecordTests.fields \(kind)")
        let (header, record) = sample(kind, &random)
        func number(_ at: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(record[at + $1]) << UInt64(8 * $1) }
        }
        #expect(Array(record[..<4]) == Array("ZBlk".utf8))
        #expect(number(4, 2) == 2 && record[6] == kind.rawValue && record[7] == 12)
        let zeroed = record[..<8] + [0, 0, 0, 0] + record[12..<end(of: header)]
        #expect(number(8, 4) == UInt64(CRC32C.checksum(Array(zeroed))))
        #expect(number(12, 4) == header.payloadOffset && number(16, 4) == header.pagesPerBlock)
        #expect(number(20, 4) == header.blockCount && number(24, 4) == header.payloadPages)
        #expect(number(28, 4) == 0 && number(32, 8) == header.oid.rawValue)
        #expect(number(40, 8) == header.firstBlock)
        #expect(number(48, 8) == header.payloadPages * Self.page && number(56, 8) == 0)
        #expect(number(64, 4) == UInt64(header.checksums[0]))
        guard let pages = header.pages else { return }
        let start = 64 + 4 * header.payloadPages
        for page in 0..<header.pagesPerBlock {
            #expect((record[start + page / 8] >> (page % 8) & 1 == 1) == pages.contains(page))
        }
    }

    // MARK: What is built

    @Test("a built record has the pages asked for, in their order, and right checksums")
    func built() throws {
        var random = ArrayRandom("BlockRecordTests.built")
        for blockPages in [1, 16, 300] {
            let block = bytes(blockPages * Self.page, &random)
            for _ in 0..<6 {
                var pages = RecipeModel.pages(blockPages, &random)
                if random.chance(20) { pages = .all(pageCount: blockPages) }
                let (part, record) =
                    block.withUnsafeBytes { memory -> (BlockPart, [UInt8])? in
                        let new = NewBlock(oid: OID(rawValue: 3), number: 8, bytes: memory, pages: pages)
                        guard let builder = BlockRecordBuilder(new) else { return nil }
                        var record = [UInt8](repeating: 0xee, count: builder.size)
                        record.withUnsafeMutableBytes { builder.build(in: $0) }
                        return (builder.part(BlockID(rawValue: 5)), record)
                    } ?? (
                        BlockPart(kind: .full, block: .preliminary(0), offset: 0, storedPages: 0, runs: []),
                        []
                    )
                guard !pages.isEmpty else {
                    #expect(record.isEmpty)
                    continue
                }
                let payload = pages.pages.flatMap { block[($0 * Self.page)..<(($0 + 1) * Self.page)] }
                let header = try record.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
                #expect(Array(record[header.payloadOffset...]) == payload)
                #expect(header.checksums == checksums(payload))
                let isFull = pages.pages == Array(0..<pages.count)
                #expect(header.kind == (isFull ? .full : .delta))
                #expect(header.pages == (isFull ? nil : pages))
                #expect(header.firstBlock == 8 && header.blockCount == 1 && header.oid.rawValue == 3)
                let table = RecipeModel.table([part], blockPages)
                for (slot, page) in pages.pages.enumerated() {
                    let place = PagePlace(
                        block: BlockID(rawValue: 5), byte: header.payloadOffset + slot * Self.page)
                    #expect(table[page] == place)
                }
                #expect(table.compactMap { $0 }.count == pages.count)
            }
        }
    }

    @Test(
        "an extent's payload is as far from 2 MiB in the file as in the array; missing blocks are zeros",
        arguments: [16, 48, 512])
    func extent(_ blockPages: Int) throws {
        var random = ArrayRandom("BlockRecordTests.extent \(blockPages)")
        let blockSize = blockPages * Self.page
        for _ in 0..<(blockPages == 512 ? 2 : 6) {
            let first = Int.random(in: 0...1000, using: &random)
            let blocks = first..<(first + 4)
            let fileOffset = Self.page * Int.random(in: 1...(1 << 20), using: &random) + 16
            var record = [UInt8](
                repeating: 0xee, count: OpenExtent.recordSize(blocks.count, blockSize: blockSize))
            let missing = first + Int.random(in: 0..<4, using: &random)
            var payload: [UInt8] = []
            let parts = try record.withUnsafeMutableBytes { memory -> [(Int, BlockPart)] in
                var extent = OpenExtent(
                    id: BlockID(rawValue: 5), oid: OID(rawValue: 3), blocks: blocks, blockSize: blockSize,
                    memory: memory, fileOffset: fileOffset)
                var parts: [(Int, BlockPart)] = []
                for number in blocks {
                    let block = bytes(blockSize, &random)
                    payload += number == missing ? [UInt8](repeating: 0, count: blockSize) : block
                    if number == missing { continue }
                    block.withUnsafeBytes { bytes in
                        let new = NewBlock(
                            oid: OID(rawValue: 3), number: number, bytes: bytes,
                            pages: .all(pageCount: blockPages))
                        parts.append((number, extent.store(new)))
                    }
                }
                try #require(extent.finish() == 3)
                return parts
            }
            let header = try record.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
            let start = header.payloadOffset
            #expect((fileOffset + start - first * blockSize) % (2 << 20) == 0)
            #expect(Array(record[start..<(start + payload.count)]) == payload)
            #expect(record[(start + payload.count)...].allSatisfy { $0 == 0 })
            #expect(header.checksums == checksums(payload))
            #expect(header.kind == .extent && header.blockCount == 4 && header.firstBlock == first)
            for (number, part) in parts {
                #expect(Int(part.offset) == start + (number - first) * blockSize)
                #expect(part.runs == [PageRun(page: 0, count: UInt32(blockPages), slot: 0)])
            }
        }
    }
}
