import Foundation
import Testing

@testable import ZBigDB

@Suite("Keys of maps")
struct KeyTests {
    /// The bytes of keys have the order of the keys, decode to them, and none begins another's.
    private func check<K: PersistentKey & Comparable>(_ keys: [K]) throws {
        let encoded = try keys.map { try KeyEncoder.subkey($0) }
        for (key, bytes) in zip(keys, encoded) {
            var decoder = KeyDecoder(bytes)
            #expect(try K.decode(from: &decoder) == key)
            #expect(decoder.isAtEnd)
            #expect(bytes[0] >= 0x10 && bytes[0] < 0xf0)
            #expect(RecordKey(.root, bytes).block == nil)
        }
        for (a, x) in zip(keys, encoded) {
            for (b, y) in zip(keys, encoded) {
                #expect((a < b) == x.lexicographicallyPrecedes(y), "\(a) \(b)")
                #expect((a == b) == (x == y), "\(a) \(b)")
                if a != b { #expect(!y.starts(with: x), "\(a) \(b)") }
            }
        }
    }

    private enum Level: Int, Codable, PersistentKey, Comparable {
        case low = -1
        case high = 7
        static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    private struct Reading: Codable, PersistentKey, Comparable {
        var sensor: String
        var floor: Int?
        var level: Level
        var path: [String]
        static func < (a: Reading, b: Reading) -> Bool {
            if a.sensor != b.sensor { return a.sensor.utf8.lexicographicallyPrecedes(b.sensor.utf8) }
            if a.floor != b.floor { return a.floor.map { x in b.floor.map { x < $0 } ?? false } ?? true }
            if a.level != b.level { return a.level < b.level }
            return a.path.lexicographicallyPrecedes(b.path)
        }
    }

    @Test("numbers, truth values, dates and identifiers keep their order")
    func fixedSizes() throws {
        try check([Int.min, -1_000_000, -256, -255, -2, -1, 0, 1, 2, 127, 128, 255, 256, 1 << 40, Int.max])
        try check([UInt64.min, 1, UInt64(Int64.max) - 1, UInt64(Int64.max), UInt64(Int64.max) + 1, .max])
        try check([Int8.min, -1, 0, 1, .max])
        try check([UInt8.min, 1, 127, 128, .max])
        try check([
            -Double.infinity, -Double.greatestFiniteMagnitude, -1e10, -1.5, -1, -Double.leastNonzeroMagnitude,
            0,
            .leastNonzeroMagnitude, 1, 1.5, .pi, 1e300, .infinity,
        ])
        try check([-Float.infinity, -1.5, 0, 0.1, 3.25e38, .infinity])
        try check([false, true].map { $0 ? 1 : 0 })
        try check([Date.distantPast, Date(timeIntervalSinceReferenceDate: -0.5), Date(), .distantFuture])
        let nan = try KeyEncoder.subkey(Double.nan)
        #expect(try KeyEncoder.subkey(-Double.nan) == nan)
        #expect(try KeyEncoder.subkey(Double.infinity).lexicographicallyPrecedes(nan))
        #expect(try KeyEncoder.subkey(-0.0) == KeyEncoder.subkey(0.0))
        // Equal numbers of different types are one key.
        #expect(try KeyEncoder.subkey(7 as UInt8) == KeyEncoder.subkey(7 as Int))
        let id = UUID()
        var decoder = KeyDecoder(try KeyEncoder.subkey(id))
        #expect(try UUID.decode(from: &decoder) == id)
    }

    @Test("text, bytes, optionals, lists and composite keys keep their order")
    func variableSizes() throws {
        try check(["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "ab", "b", "z", "ä", "水", "𐅑"])
        let lists: [[Int]] = [[], [-1], [0], [0, 0], [0, 1], [1]]
        for (a, b) in zip(lists, lists.dropFirst()) {
            #expect(try KeyEncoder.subkey(a).lexicographicallyPrecedes(KeyEncoder.subkey(b)))
        }
        let bytes: [[UInt8]] = [[], [0], [0, 0], [0, 255], [1], [255], [255, 0]]
        for (a, b) in zip(bytes, bytes.dropFirst()) {
            #expect(try KeyEncoder.subkey(a).lexicographicallyPrecedes(KeyEncoder.subkey(b)))
            var decoder = KeyDecoder(try KeyEncoder.subkey(b))
            #expect(try [UInt8].decode(from: &decoder) == b)
        }
        #expect(
            try KeyEncoder.subkey(Int?.none).lexicographicallyPrecedes(KeyEncoder.subkey(Int?.some(.min))))
        try check([
            CompositeKey("a", 2), CompositeKey("a", 10), CompositeKey("a\0", -5), CompositeKey("aa", -1),
            CompositeKey("b", 0),
        ])
    }

    @Test("Codable structs are keys in the order of their properties")
    func structs() throws {
        try check([
            Reading(sensor: "a", floor: nil, level: .low, path: []),
            Reading(sensor: "a", floor: -3, level: .low, path: ["x"]),
            Reading(sensor: "a", floor: -3, level: .low, path: ["x", "y"]),
            Reading(sensor: "a", floor: -3, level: .high, path: []),
            Reading(sensor: "a", floor: 3, level: .low, path: []),
            Reading(sensor: "b", floor: nil, level: .low, path: []),
        ])
        try check([Level.low, .high])
    }

    @Test("random keys keep their order")
    func random() throws {
        var random = ArrayRandom("random keys")
        try check(
            Set(
                (0..<60).map { _ in
                    Int.random(in: .min ... .max, using: &random) >> Int.random(in: 0..<64, using: &random)
                }
            ).map { $0 })
        try check(
            Set(
                (0..<60).map { _ in Double(bitPattern: .random(in: 0 ... .max, using: &random)) }.filter {
                    !$0.isNaN
                }
            ).map { $0 })
        let texts = Set(
            (0..<60).map { _ in
                String(
                    String.UnicodeScalarView(
                        (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                            Unicode.Scalar(UInt8.random(in: 0..<3, using: &random))
                        }))
            })
        try check(texts.map { $0 })
    }

    @Test("too long a key is refused; bytes that are no key are an error")
    func limits() throws {
        _ = try KeyEncoder.subkey(String(repeating: "a", count: 492))
        let error = #expect(throws: StorageError.self) {
            try KeyEncoder.subkey(String(repeating: "a", count: 493))
        }
        #expect(error == .keyTooLong(length: 496, limit: 495))
        var random = ArrayRandom("damaged keys")
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0..<20, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            var decoder = KeyDecoder(bytes)
            _ = try? Int.decode(from: &decoder)
            decoder = KeyDecoder(bytes)
            _ = try? Reading.decode(from: &decoder)
            decoder = KeyDecoder(bytes)
            _ = try? [String].decode(from: &decoder)
        }
    }
}
