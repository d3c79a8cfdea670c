import Foundation
import Testing

@testable import ZBigDB

@Suite("CBOR")
struct CBORTests {
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
    }

    private static func hex(_ value: CBORValue) -> String {
        var writer = CBORWriter()
        value.encode(into: &writer)
        return writer.bytes.map { String(format: "%02x", $0) }.joined()
    }

    /// RFC 8949, appendix A: what is read, and what is written in the preferred form.
    private static let examples: [(String, CBORValue)] = [
        ("00", .unsigned(0)), ("01", .unsigned(1)), ("0a", .unsigned(10)), ("17", .unsigned(23)),
        ("1818", .unsigned(24)), ("1819", .unsigned(25)), ("1864", .unsigned(100)),
        ("1903e8", .unsigned(1000)),
        ("1a000f4240", .unsigned(1_000_000)), ("1b000000e8d4a51000", .unsigned(1_000_000_000_000)),
        ("1bffffffffffffffff", .unsigned(.max)), ("3bffffffffffffffff", .negative(.max)),
        ("c249010000000000000000", .tagged(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("c349010000000000000000", .tagged(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("20", .negative(0)), ("29", .negative(9)), ("3863", .negative(99)), ("3903e7", .negative(999)),
        ("f90000", .double(0)), ("f98000", .double(-0.0)), ("f93c00", .double(1)),
        ("fb3ff199999999999a", .double(1.1)), ("f93e00", .double(1.5)), ("f97bff", .double(65504)),
        ("fa47c35000", .double(100_000)), ("fa7f7fffff", .double(3.4028234663852886e+38)),
        ("fb7e37e43c8800759c", .double(1.0e+300)), ("f90001", .double(5.960464477539063e-8)),
        ("f90400", .double(0.00006103515625)), ("f9c400", .double(-4)), ("fbc010666666666666", .double(-4.1)),
        ("f97c00", .double(.infinity)), ("f9fc00", .double(-.infinity)),
        ("f4", .bool(false)), ("f5", .bool(true)), ("f6", .null), ("f7", .undefined), ("f0", .simple(16)),
        ("f8ff", .simple(255)),
        ("c074323031332d30332d32315432303a30343a30305a", .tagged(0, .text("2013-03-21T20:04:00Z"))),
        ("c11a514b67b0", .tagged(1, .unsigned(1_363_896_240))),
        ("c1fb41d452d9ec200000", .tagged(1, .double(1_363_896_240.5))),
        ("d74401020304", .tagged(23, .bytes([1, 2, 3, 4]))),
        ("d818456449455446", .tagged(24, .bytes([0x64, 0x49, 0x45, 0x54, 0x46]))),
        ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", .tagged(32, .text("http://www.example.com"))),
        ("40", .bytes([])), ("4401020304", .bytes([1, 2, 3, 4])), ("60", .text("")), ("6161", .text("a")),
        ("6449455446", .text("IETF")), ("62225c", .text("\"\\")), ("62c3bc", .text("ü")),
        ("63e6b0b4", .text("水")),
        ("64f0908591", .text("𐅑")), ("80", .array([])),
        ("83010203", .array([.unsigned(1), .unsigned(2), .unsigned(3)])),
        (
            "8301820203820405",
            .array([
                .unsigned(1), .array([.unsigned(2), .unsigned(3)]), .array([.unsigned(4), .unsigned(5)]),
            ])
        ),
        (
            "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
            .array((1...25).map { .unsigned($0) })
        ),
        ("a0", .map([])),
        (
            "a201020304",
            .map([
                .init(key: .unsigned(1), value: .unsigned(2)), .init(key: .unsigned(3), value: .unsigned(4)),
            ])
        ),
        (
            "a26161016162820203",
            .map([
                .init(key: .text("a"), value: .unsigned(1)),
                .init(key: .text("b"), value: .array([.unsigned(2), .unsigned(3)])),
            ])
        ),
        (
            "826161a161626163",
            .array([.text("a"), .map([.init(key: .text("b"), value: .text("c"))])])
        ),
    ]

    @Test("the examples of RFC 8949 are read, and written byte for byte")
    func appendixA() throws {
        for (hex, value) in Self.examples {
            #expect(try CBORValue(decoding: Self.bytes(hex)) == value, "\(hex)")
            #expect(Self.hex(value) == hex)
        }
        #expect(Self.hex(.double(.nan)) == "f97e00")
        for hex in ["f97e00", "fa7fc00000", "fb7ff8000000000000"] {
            guard case .double(let value) = try CBORValue(decoding: Self.bytes(hex)) else {
                Issue.record("\(hex)")
                continue
            }
            #expect(value.isNaN)
        }
    }

    @Test(
        "examples of open length and of longer forms are read",
        arguments: [
            ("5f42010243030405ff", "450102030405"), ("7f657374726561646d696e67ff", "6973747265616d696e67"),
            ("9fff", "80"), ("9f018202039f0405ffff", "8301820203820405"),
            ("9f01820203820405ff", "8301820203820405"),
            ("83018202039f0405ff", "8301820203820405"), ("83019f0203ff820405", "8301820203820405"),
            ("bf61610161629f0203ffff", "a26161016162820203"), ("826161bf61626163ff", "826161a161626163"),
            ("bf6346756ef563416d7421ff", "a26346756ef563416d7421"), ("fa7f800000", "f97c00"),
            ("fbfff0000000000000", "f9fc00"), ("1900ff", "18ff"),
        ])
    func otherForms(_ form: String, _ preferred: String) throws {
        let value = try CBORValue(decoding: Self.bytes(form))
        #expect(Self.hex(value) == preferred)
        var reader = CBORReader(Self.bytes(form))
        try reader.skip()
        #expect(reader.isAtEnd)
    }

    @Test("damaged input is an error, whatever it is")
    func damage() throws {
        var random = ArrayRandom("damaged CBOR")
        for hex in [
            "", "18", "1c", "5f", "ff", "9f", "61", "62ff", "a1", "a101", "c2", "7f4101ff", "3f", "df",
            "9bffffffffffffffff",
        ] {
            #expect(throws: CBORReader.Malformed.self, "\(hex)") { try CBORValue(decoding: Self.bytes(hex)) }
        }
        #expect(throws: CBORReader.Malformed.self) {
            try CBORValue(decoding: [UInt8](repeating: 0x81, count: 1000) + [0])
        }
        for _ in 0..<20_000 {
            let input = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Either a value or an error: never a trap.
            _ = try? CBORValue(decoding: input)
            var reader = CBORReader(input)
            _ = try? reader.skip()
        }
    }

    // MARK: Codable

    private struct Sample: Codable, PersistentValue, Equatable {
        enum Kind: String, Codable { case small, large }
        struct Inner: Codable, Equatable {
            var list: [Int?]
            var deep: [String: [String: Double]]
        }
        var text: String
        var number: Int
        var big: UInt64
        var small: Int8
        var real: Double
        var flag: Bool
        var none: Int?
        var some: Int?
        var kind: Kind
        var inner: Inner
        var numbers: [Int: String]
        var many: [Int]
        var pairs: [Inner]
    }

    private static let sample = Sample(
        text: "grün \u{0} ☃", number: -123_456_789, big: .max, small: -128, real: 0.1, flag: true, none: nil,
        some: 4,
        kind: .large, inner: .init(list: [1, nil, -3], deep: ["a": ["b": 1.5, "": .infinity], "z": [:]]),
        numbers: [1: "one", -7: "minus"], many: Array(0..<300),
        pairs: [.init(list: [], deep: [:]), .init(list: [nil], deep: [:])])

    @Test("Codable values come back, and Python reads them as they are")
    func codable() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        var encoder = StateEncoder(connection: connection)
        try encoder.encode(Self.sample)
        let bytes = encoder.writer.bytes
        var decoder = StateDecoder(bytes, connection: connection)
        #expect(try decoder.decode(Sample.self) == Self.sample)
        #expect(decoder.reader.isAtEnd)

        let read = try cbor2(
            """
            v = cbor2.loads(data)
            assert v['text'] == 'grün \\0 ☃' and v['number'] == -123456789 and v['big'] == 2**64 - 1
            assert v['small'] == -128 and v['real'] == 0.1 and v['flag'] is True and 'none' not in v
            assert v['some'] == 4 and v['kind'] == 'large' and v['inner']['list'] == [1, None, -3]
            assert v['inner']['deep'] == {'a': {'b': 1.5, '': float('inf')}, 'z': {}}
            assert v['numbers'] == {1: 'one', -7: 'minus'} and v['many'] == list(range(300))
            assert v['pairs'] == [{'list': [], 'deep': {}}, {'list': [None], 'deep': {}}]
            out = cbor2.dumps(v)
            """, bytes)
        var again = StateDecoder(read, connection: connection)
        #expect(try again.decode(Sample.self) == Self.sample)
    }

    @Test("records with references and dates are plain CBOR for Python, and what Python writes is read")
    func records() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let account = Account()
        account.owner = Party("Ann")
        account.opened = Date(timeIntervalSince1970: 1_363_896_240.5)
        account.id = UUID(uuidString: "00112233-4455-6677-8899-AABBCCDDEEFF")
        account.labels = ["x"]
        account.rate = 2.5
        try connection.root.set("account", account)
        try connection.commit()
        let oid = try #require(account.oid)
        let record = try #require(try connection.snapshot.record(RecordKey(oid)))
        guard case .state(let bytes) = record.value else { return }
        let answer = try cbor2(
            """
            name, version, v = cbor2.loads(data)
            assert name == 'test.Account' and version == 1, name
            assert v['owner'].tag == 39 and v['owner'].value[1] == 'test.Party', v
            assert v['opened'] == datetime.datetime.fromtimestamp(1363896240.5, datetime.timezone.utc), v
            assert v['id'] == uuid.UUID('00112233-4455-6677-8899-aabbccddeeff'), v
            assert v['labels'] == {'x'} and v['rate'] == 2.5 and v['parent'] is None
            v['balance'] = -2**40
            v['labels'] = {'y', 'z'}
            v['opened'] = datetime.datetime.fromtimestamp(1e9 + 0.25, datetime.timezone.utc)
            out = cbor2.dumps([name, version, v], datetime_as_timestamp=True)
            """, bytes)
        let storage = try temporary.database.openStorage()
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "", metadata: [:],
            writes: [RecordWrite(key: RecordKey(oid), value: .state(answer), base: record.tid)],
            readings: [], blocks: storage.makeBlockWriter(isAhead: false))
        try storage.vote(request, isSole: true).finish()
        try connection.begin()
        #expect(account.balance == -(1 << 40))
        #expect(account.labels == ["y", "z"])
        #expect(account.opened == Date(timeIntervalSince1970: 1e9 + 0.25))
        #expect(account.owner?.name == "Ann")
    }

    @Test("dates keep every bit")
    func dates() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        var random = ArrayRandom("dates")
        for _ in 0..<10_000 {
            let date = Date(
                timeIntervalSinceReferenceDate: .random(in: -1e11...1e10, using: &random)
                    * (Bool.random(using: &random) ? 1 : 1e-4))
            var encoder = StateEncoder(connection: connection)
            try encoder.encode(date)
            var decoder = StateDecoder(encoder.writer.bytes, connection: connection)
            #expect(try decoder.decode(Date.self) == date)
        }
    }
}
