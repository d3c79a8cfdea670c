import Testing

@testable import ZBigDB

@Suite("Stored forms")
struct FormatTests {
    // MARK: Checksums

    @Test("CRC-32C gives the values of RFC 3720, appendix B.4")
    func vectors() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(CRC32C.checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46dd_794e)
        #expect(CRC32C.checksum((0..<32).reversed().map { UInt8($0) }) == 0x113f_db5c)
        #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xe306_9283)
        #expect(CRC32C.checksum([]) == 0)
    }

    @Test("CRC-32C agrees with a bit by bit computation, at every length, start and seed")
    func againstBits() {
        var random = ArrayRandom("FormatTests.againstBits")
        func slow(_ bytes: some Sequence<UInt8>) -> UInt32 {
            ~bytes.reduce(UInt32.max) { crc, byte in
                (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82f6_3b78 : 0) }
            }
        }
        for length in Array(0..<70) + [255, 256, 1000] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(CRC32C.checksum(bytes) == slow(bytes))
            let cut = Int.random(in: 0...length, using: &random)
            let first = CRC32C.checksum(Array(bytes[..<cut]))
            #expect(CRC32C.checksum(Array(bytes[cut...]), seed: first) == slow(bytes))
            bytes.withUnsafeBytes { all in
                let part = UnsafeRawBufferPointer(rebasing: all[cut...])
                #expect(CRC32C.checksum(part) == slow(bytes[cut...]))
                #expect(CRC32C.isZero(part) == bytes[cut...].allSatisfy { $0 == 0 })
            }
        }
        var zeros = [UInt8](repeating: 0, count: 100)
        #expect(zeros.withUnsafeBytes { CRC32C.isZero($0) })
        for index in zeros.indices {
            zeros[index] = 1
            #expect(zeros.withUnsafeBytes { !CRC32C.isZero($0) })
            zeros[index] = 0
        }
    }

    // MARK: Block records

    private func header(pages: Int) -> (ZBlkHeader, [UInt8]) {
        let payload = (0..<(pages * 4096)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 12) }
        let sums = payload.withUnsafeBytes { CRC32C.pages($0, pageSize: 4096) }
        let header = ZBlkHeader(
            kind: .full, pageSize: 4096, pagesPerBlock: 600, blockCount: 1, oid: OID(rawValue: 77),
            firstBlock: 123_456_789, checksums: sums)
        return (header, header.encoded() + payload)
    }

    @Test("a block header is read as it was written", arguments: [1, 2, 16, 512])
    func header(_ pages: Int) throws {
        let (header, record) = self.header(pages: pages)
        let read = try record.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
        #expect(read == header)
        #expect((header.payloadOffset + 16) % 4096 == 0)
        #expect(record.withUnsafeBytes { header.damagedPages($0) } == [])
    }

    @Test("a damaged block header is refused, a damaged page is named")
    func damagedHeader() throws {
        var random = ArrayRandom("FormatTests.damagedHeader")
        let (header, record) = self.header(pages: 3)
        for _ in 0..<60 {
            var damaged = record
            // Behind the checksums are zeros that nobody reads.
            let at = Int.random(in: 0..<(ZBlkHeader.fixedSize + 4 * 3), using: &random)
            damaged[at] ^= UInt8.random(in: 1...255, using: &random)
            #expect(throws: ZBlkHeader.Damage.self) {
                try damaged.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
            }
        }
        for length in [0, 1, 63, 64, 100, header.payloadOffset, record.count - 1] {
            #expect(throws: ZBlkHeader.Damage.self) {
                try Array(record[..<length]).withUnsafeBytes { try ZBlkHeader(decoding: $0) }
            }
        }
        for page in 0..<3 {
            var damaged = record
            damaged[header.payloadOffset + page * 4096 + 4095] ^= 0x80
            #expect(damaged.withUnsafeBytes { header.damagedPages($0) } == [page])
        }
        for _ in 0..<200 {
            let noise = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(throws: ZBlkHeader.Damage.self) {
                try noise.withUnsafeBytes { try ZBlkHeader(decoding: $0) }
            }
        }
    }

    // MARK: Log and prepared transactions

    private func bytes(_ random: inout ArrayRandom, _ range: ClosedRange<Int>) -> [UInt8] {
        (0..<Int.random(in: range, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    private func text(_ random: inout ArrayRandom) -> String {
        String(
            (0..<Int.random(in: 0...20, using: &random)).map { _ in "aé日👩\0 \n".randomElement(using: &random)!
            })
    }

    private func key(_ random: inout ArrayRandom) throws -> RecordKey {
        let oid = OID(rawValue: UInt64.random(in: 0...(random.chance(50) ? 20 : .max), using: &random))
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return RecordKey(oid)
        case 1:
            return RecordKey(
                oid, block: Int.random(in: 0..<(random.chance(70) ? 50 : 1 << 44), using: &random))
        default: return RecordKey(oid, try NameKey.encode(text(&random)))
        }
    }

    private func same(_ a: ChangeSet, _ b: ChangeSet) -> Bool {
        guard a.objects.keys == b.objects.keys else { return false }
        return a.objects.allSatisfy { oid, parts in
            guard let other = b.objects[oid] else { return false }
            return parts.state == other.state && Set(parts.blocks) == Set(other.blocks)
                && Set(parts.entries) == Set(other.entries)
        }
    }

    @Test("log entries are read as they were written, and damaged ones never crash")
    func log() throws {
        var random = ArrayRandom("FormatTests.log")
        for _ in 0..<100 {
            var changes = ChangeSet()
            for _ in 0..<Int.random(in: 0...40, using: &random) { changes.insert(try key(&random)) }
            let record = TransactionRecord(
                tid: TID(rawValue: 5), id: TransactionID(), user: text(&random), note: text(&random),
                metadata: ["1" + text(&random): text(&random), "2" + text(&random): text(&random)],
                changes: changes)
            let encoded = record.encoded()
            let read = try TransactionRecord(tid: record.tid, decoding: encoded)
            #expect(read.id == record.id && read.user == record.user && read.note == record.note)
            #expect(read.metadata == record.metadata)
            #expect(same(read.changes, changes))
            for _ in 0..<20 {
                _ = try? TransactionRecord(tid: record.tid, decoding: damage(encoded, &random))
            }
        }
    }

    /// Some bytes changed, cut off, or put in.
    private func damage(_ bytes: [UInt8], _ random: inout ArrayRandom) -> [UInt8] {
        var damaged = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !damaged.isEmpty {
            let at = Int.random(in: damaged.indices, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: damaged[at] = UInt8.random(in: 0...255, using: &random)
            case 1: damaged.removeLast(damaged.count - at)
            default: damaged.insert(contentsOf: self.bytes(&random, 1...10), at: at)
            }
        }
        return damaged
    }

    @Test("a log entry that claims too many blocks is refused")
    func greedyLog() {
        var writer = ByteWriter()
        writer.number(1)
        writer.number(1)
        writer.byte(2)
        writer.number(100)
        for _ in 0..<100 {
            writer.number(1 << 47)
            writer.number(1 << 25)
        }
        #expect(throws: ByteReader.Malformed.self) {
            var reader = ByteReader(writer.bytes)
            _ = try ChangeSet(decoding: &reader)
        }
    }

    private func recipe(_ random: inout ArrayRandom) -> BlockRecipe {
        var parts: [BlockPart] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            var (page, slot): (UInt32, UInt32) = (0, 0)
            var runs: [PageRun] = []
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                page += .random(in: 0...50, using: &random)
                slot += .random(in: 0...3, using: &random)
                let count = UInt32.random(in: 1...9, using: &random)
                runs.append(PageRun(page: page, count: count, slot: slot))
                (page, slot) = (page + count, slot + count)
            }
            parts.append(
                BlockPart(
                    kind: [.full, .extent, .delta][Int.random(in: 0..<3, using: &random)],
                    block: BlockID(rawValue: .random(in: 0...(.max), using: &random)),
                    offset: .random(in: 0...(.max), using: &random),
                    storedPages: slot + .random(in: 0...9, using: &random), runs: runs))
        }
        return BlockRecipe(parts: parts)
    }

    @Test("prepared transactions are read as they were written, and damaged ones never crash")
    func stage() throws {
        var random = ArrayRandom("FormatTests.stage")
        for _ in 0..<100 {
            let writes = try (0..<Int.random(in: 0...20, using: &random)).map { _ in
                let recipe = recipe(&random)
                let value: [RecordValue?] = [nil, .state(bytes(&random, 0...50)), .block(recipe)]
                return RecordWrite(
                    key: try key(&random), value: value[Int.random(in: 0..<3, using: &random)], base: nil)
            }
            let stage = Stage(
                id: TransactionID(), user: text(&random), note: text(&random),
                metadata: [text(&random): text(&random)], writes: RecordWrites(writes))
            let encoded = stage.encoded()
            let read = try Stage(stage.id, decoding: encoded)
            #expect(read.user == stage.user && read.note == stage.note && read.metadata == stage.metadata)
            #expect(read.writes.map(\.key) == writes.map(\.key))
            #expect(read.writes.map(\.value) == writes.map(\.value))
            for _ in 0..<20 { _ = try? Stage(stage.id, decoding: damage(encoded, &random)) }
            for write in writes {
                guard let value = write.value else { continue }
                _ = try? RecordValue(decoding: damage(value.encoded(), &random))
            }
        }
    }

    @Test("noise as an object's state never crashes")
    func stateNoise() throws {
        var random = ArrayRandom("FormatTests.stateNoise")
        for _ in 0..<1000 {
            var reader = CBORReader(bytes(&random, 0...60))
            while !reader.isAtEnd {
                do { try reader.skip() } catch { break }
            }
        }
        for value in [Int.min, Int.max, -1, 0, 23, 24, 255, 256, -256, -257] {
            var writer = CBORWriter()
            writer.integer(value)
            var reader = CBORReader(writer.bytes)
            #expect(try reader.integer() == value)
        }
    }

    // MARK: Keys

    @Test("name keys have the order of the names' bytes, and none is a prefix of another")
    func nameKeys() throws {
        var random = ArrayRandom("FormatTests.nameKeys")
        let names = (0..<100).map { _ in
            String(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    "\0\u{1}ab\u{ff}".randomElement(using: &random)!
                })
        }
        for a in names {
            let one = try NameKey.encode(a)
            #expect(NameKey.name(of: one).map { Array($0.utf8) } == Array(a.utf8))
            #expect(RecordKey(.root, one).block == nil)
            for b in names.prefix(60) where !a.utf8.elementsEqual(b.utf8) {
                let two = try NameKey.encode(b)
                #expect(
                    one.lexicographicallyPrecedes(two) == a.utf8.lexicographicallyPrecedes(b.utf8))
                #expect(!one.starts(with: two) && !two.starts(with: one))
            }
        }
    }

    @Test("record keys are read as they were written; newer versions come first, parts before the state")
    func recordKeys() throws {
        var random = ArrayRandom("FormatTests.recordKeys")
        for _ in 0..<500 {
            let key = try key(&random)
            let tid = TID(rawValue: .random(in: 0...TID.largest.rawValue, using: &random))
            let encoded = key.encoded(tid)
            let decoded = try #require(RecordKey.decode(encoded))
            #expect(decoded.key == key)
            #expect(decoded.tid == tid)
            #expect(key.encoded(TID(rawValue: tid.rawValue + 1)).lexicographicallyPrecedes(encoded))
            #expect(
                encoded.lexicographicallyPrecedes(RecordKey(key.oid).encoded(.zero))
                    || key.subkey.isEmpty && tid == .zero)
        }
        #expect(RecordKey.decode([UInt8](repeating: 0, count: 15)) == nil)
        #expect(RecordKey(.root, block: 1 << 40).block == 1 << 40)
    }
}
