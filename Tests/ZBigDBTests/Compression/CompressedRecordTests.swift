import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Compressed block records")
struct CompressedRecordTests {
    /// What the shuffle is by definition.
    private func shuffled(_ bytes: [UInt8], _ size: Int) -> [UInt8] {
        let count = bytes.count / size
        return (0..<size).flatMap { byte in (0..<count).map { bytes[$0 * size + byte] } }
            + bytes[(count * size)...]
    }

    @Test("shuffled bytes are those of the definition, and come back")
    func shuffle() {
        var random = ArrayRandom("CompressedRecordTests.shuffle")
        for size in Array(1...17) + [24, 32, 100, 256] {
            for count in [0, 1, size - 1, 16 * size, .random(in: 1...5000, using: &random)] {
                let bytes = CompressionData.noise.bytes(count, elementSize: size, &random)
                var (there, back) = ([UInt8](repeating: 0, count: count), [UInt8](repeating: 0, count: count))
                bytes.withUnsafeBytes { source in
                    there.withUnsafeMutableBytes { Shuffle.split(source, to: $0, elementSize: size) }
                }
                #expect(there == shuffled(bytes, size))
                there.withUnsafeBytes { source in
                    back.withUnsafeMutableBytes { Shuffle.join(source, to: $0, elementSize: size) }
                }
                #expect(back == bytes)
            }
        }
    }

    /// A record of the pages of a block, as a writer makes it.
    private func record(_ bytes: [UInt8], _ pages: PageSet, elementSize: Int) throws -> (BlockPart, [UInt8]) {
        try bytes.withUnsafeBytes { block in
            let builder = try #require(
                BlockRecordBuilder(
                    NewBlock(
                        oid: OID(rawValue: 3), number: 4, bytes: block, pages: pages,
                        compression: BlockCompression(level: 3, elementSize: elementSize))))
            let record = [UInt8](unsafeUninitializedCapacity: builder.size) { buffer, count in
                memset(buffer.baseAddress!, 0xee, builder.size)
                builder.build(in: UnsafeMutableRawBufferPointer(buffer))
                count = builder.size
            }
            return (builder.part(BlockID(rawValue: 5)), record)
        }
    }

    @Test(
        "zstd and NumPy read what is stored",
        arguments: [CompressionData.counting, .readings, .sparse], [1, 2, 4, 8, 12, 16])
    func independent(_ data: CompressionData, _ elementSize: Int) throws {
        var random = ArrayRandom("CompressedRecordTests.independent")
        let folder = try TemporaryFolder()
        for pageCount in [8, 512] {
            let block = data.bytes(pageCount * systemPageSize, elementSize: elementSize, &random)
            var pages = PageSet.all(pageCount: pageCount)
            for page in [0, 3, 4] where random.chance(50) { pages.remove(page) }
            let (part, record) = try record(block, pages, elementSize: elementSize)
            try #require(part.codec != .none)
            // By FORMAT.md, without the code that reads.
            func field(_ offset: Int, _ count: Int) -> Int {
                record[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | Int($1) }
            }
            let (offset, size) = (field(12, 4), field(48, 8))
            #expect(field(28, 1) == Int(part.codec.rawValue) && field(29, 1) == 3)
            #expect(field(30, 2) == elementSize && field(56, 4) == pages.count)
            #expect(record.count == offset + (size + 4095) / 4096 * 4096)
            #expect(record[(offset + size)...].allSatisfy { $0 == 0 })
            let expected = pages.pages.flatMap { block[($0 * 4096)..<(($0 + 1) * 4096)] }
            try Data(record[offset..<(offset + size)]).write(to: URL(fileURLWithPath: folder.file("z")))
            try Data(expected).write(to: URL(fileURLWithPath: folder.file("expected")))
            let answer = try numpy(
                """
                import subprocess
                folder = sys.stdin.read()
                raw = subprocess.run(["zstd", "-d", "-c", folder + "/z"], check=True, capture_output=True).stdout
                a = np.frombuffer(raw, dtype=np.uint8)
                if \(part.codec.rawValue) == 2:
                    n = len(a) // \(elementSize)
                    a = np.concatenate([a[:n * \(elementSize)].reshape(\(elementSize), n).T.ravel(), a[n * \(elementSize):]])
                print(np.array_equal(a, np.fromfile(folder + "/expected", dtype=np.uint8)))
                """, input: folder.path)
            #expect(answer == "True\n")
        }
    }

    private func unpack(_ part: BlockPart, _ record: [UInt8]) throws -> [UInt8] {
        try record.withUnsafeBytes { record in
            let content = try PartContent(part, record)
            return content.withPages(PageRun(page: 0, count: part.storedPages, slot: 0)) { Array($0) }
        }
    }

    @Test("damage is an error and never a crash, also if all checksums are right")
    func damage() throws {
        var random = ArrayRandom("CompressedRecordTests.damage")
        var refused = 0
        for _ in 0..<400 {
            let data: CompressionData = random.chance(50) ? .counting : .readings
            let pageCount = random.chance(20) ? 200 : 16
            let block = data.bytes(pageCount * systemPageSize, elementSize: 8, &random)
            let (part, record) = try record(block, .all(pageCount: pageCount), elementSize: 8)
            #expect(try unpack(part, record) == block)
            let header = try record.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
            var damaged = record
            let end = header.payloadOffset + header.payloadSize
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                // Often where frames begin, which say how long they are.
                let most = random.chance(50) ? min(header.payloadOffset + 20, end) : end
                damaged[.random(in: header.payloadOffset..<most, using: &random)] ^= .random(
                    in: 1...255, using: &random)
            }
            if damaged == record { continue }
            #expect(throws: ZBlkHeader.Damage.self) { try unpack(part, damaged) }
            var right = header
            if random.chance(20) { right.payloadSize -= Int.random(in: 0...3, using: &random) }
            right.checksums = damaged[header.payloadOffset...].withUnsafeBytes {
                CRC32C.pages($0, pageSize: systemPageSize)
            }
            damaged.replaceSubrange(0..<header.payloadOffset, with: right.encoded())
            do {
                // Other bytes may be what it says now; never more or fewer.
                #expect(try unpack(part, damaged).count == block.count)
            } catch is ZBlkHeader.Damage {
                refused += 1
            }
        }
        #expect(refused > 100)
    }

    @Test("a recipe that contradicts a compressed record is refused")
    func contradiction() throws {
        var random = ArrayRandom("CompressedRecordTests.contradiction")
        let block = CompressionData.counting.bytes(16 * systemPageSize, elementSize: 8, &random)
        let (part, record) = try record(block, .all(pageCount: 16), elementSize: 8)
        let others = [
            BlockPart(
                kind: .full, codec: part.codec, block: part.block, offset: part.offset, storedPages: 600,
                runs: part.runs),
            BlockPart(
                kind: .delta, codec: part.codec, block: part.block, offset: part.offset, storedPages: 16,
                runs: part.runs),
            BlockPart(
                kind: .full, codec: .zstd, block: part.block, offset: part.offset, storedPages: 16,
                runs: part.runs),
            BlockPart(
                kind: .full, codec: .none, block: part.block, offset: part.offset, storedPages: 600,
                runs: part.runs),
        ]
        for other in others { #expect(throws: ZBlkHeader.Damage.self) { try unpack(other, record) } }
    }

    @Test(
        "damage of a compressed block in the file is named, when it is read and by verify",
        arguments: LoadMode.allCases)
    func damagedFile(_ mode: LoadMode) throws {
        var random = ArrayRandom("CompressedRecordTests.damagedFile")
        let folder = try TemporaryFolder()
        let path = folder.file()
        let block = Database.Configuration.small.blockSize
        var payload: [UInt8] = []
        do {
            let database = try Database(path, create: true, configuration: .small)
            let connection = try database.connect()
            let array = try connection.createArray(
                "a", shape: [3 * block], of: UInt8.self, compression: .zstd)
            let bytes = CompressionData.readings.bytes(3 * block, elementSize: 5, &random)
            try array.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
            try connection.commit()
            let part = try #require(try database.recipes(array)[1].parts.first)
            payload = try LMDBSnapshot(database.openStorage()).withRecord(part.block) {
                Array($0[Int(part.offset)...].prefix(64))
            }
            try connection.close()
            try database.close()
        }
        var data = try #require(FileManager.default.contents(atPath: path))
        let place = try #require(data.range(of: Data(payload)))
        data[place.lowerBound + 30] ^= 1
        try data.write(to: URL(fileURLWithPath: path))

        let database = try Database(path, configuration: mode.configuration)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        _ = try array.element(0, as: UInt8.self)
        _ = try array.element(2 * block, as: UInt8.self)
        let error = #expect(throws: VirtMemError.self) { try array.element(block + 9, as: UInt8.self) }
        guard case .loadFailed(_, _, let cause as StorageError) = error, case .corrupt(_, let what) = cause
        else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains("block 1") && what.contains("checksum"))
        let problems = try database.verify().problems
        #expect(problems.map(\.block) == [1])
    }
}
