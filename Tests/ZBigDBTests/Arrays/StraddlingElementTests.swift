import Foundation
import Testing
import VirtMem

@testable import ZBigDB

/// Elements of 24 bytes, of which some lie in two pages and some in two blocks: what two
/// transactions do to parts of one element is a conflict.
@Suite("Elements across pages and blocks", .timeLimit(.minutes(15)))
struct StraddlingElementTests {
    private static let item = 24
    private static let block = Database.Configuration.small.blockSize
    /// 4096 and 65536 are not multiples of 24: these have their first 16 bytes before the boundary, or 8.
    private static let acrossPages = 4096 / item
    private static let acrossBlocks = block / item

    private func make(_ connection: Connection) throws -> BigArray {
        let dtype = try DType(descr: "[('x', '<u8'), ('y', '<u8'), ('z', '<u8')]")
        let array = try connection.createArray("a", shape: [3 * Self.block / Self.item], dtype: dtype)
        try array.withUnsafeMutableBytes { bytes in
            // Something in every page, far from the elements of the tests.
            for at in stride(from: 2048, to: bytes.count, by: 4096) { bytes[at] = 1 }
        }
        try connection.commit()
        return array
    }

    private func raise(_ array: BigArray, _ element: Int, _ field: Int, to value: UInt64) throws {
        let at = element * Self.item + 8 * field
        try array.withUnsafeMutableBytes(of: at..<(at + 8)) { $0.storeBytes(of: value, as: UInt64.self) }
    }

    private func fields(_ array: BigArray, _ element: Int) throws -> [UInt64] {
        try array.withUnsafeBytes(of: (element * Self.item)..<((element + 1) * Self.item)) { bytes in
            (0..<3).map { bytes.load(fromByteOffset: 8 * $0, as: UInt64.self) }
        }
    }

    @Test(
        "the two ends of one element conflict, also where it lies in two pages or two blocks",
        arguments: [0, acrossPages, acrossBlocks, 2 * acrossBlocks + 1], [false, true])
    func ends(_ element: Int, _ isReversed: Bool) throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try make(one)
        try two.begin()
        let second = try two.root.array("a")
        _ = (try fields(first, element), try fields(second, element))
        try raise(first, element, isReversed ? 2 : 0, to: 5)
        try raise(second, element, isReversed ? 0 : 2, to: 6)
        try one.commit()
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        #expect(try fields(second, element) == (isReversed ? [0, 0, 5] : [5, 0, 0]))
    }

    @Test("elements that share no page do not conflict, however near a boundary")
    func neighbours() throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try make(one)
        try two.begin()
        let second = try two.root.array("a")
        for element in [4 * 4096 / Self.item, Self.acrossBlocks] {
            try raise(first, element - 400, 0, to: 5)
            try raise(second, element + 400, 0, to: 6)
            try one.commit()
            try two.commit()
            try one.begin()
            #expect(try fields(first, element + 400)[0] == 6)
            #expect(try fields(first, element - 400)[0] == 5)
        }
    }

    /// Raises elements many times; returns how often each.
    private func raiseMany(_ database: Database, _ elements: [Int], _ seed: UInt64) throws -> [Int: UInt64] {
        var random = CounterWorkload.Random(state: seed)
        var counts: [Int: UInt64] = [:]
        let connection = try database.connect()
        while counts.values.reduce(0, +) < 150 {
            let array = try connection.root.array("a")
            let element = elements[.random(in: 0..<elements.count, using: &random)]
            // A larger value than any of the three, in one of them.
            let next = try (fields(array, element).max() ?? 0) + 1
            try raise(array, element, .random(in: 0..<3, using: &random), to: next)
            do {
                try connection.commit()
                counts[element, default: 0] += 1
            } catch is ConflictError {
                try connection.abort()
            }
        }
        try connection.close()
        return counts
    }

    @Test("threads: each change of an element is made to what the one before left")
    func threads() throws {
        var random = ArrayRandom("StraddlingElementTests.threads")
        var configuration = Database.Configuration.small
        configuration.durability = .none
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        let setup = try database.connect()
        _ = try make(setup)
        // Those at page boundaries, some of which are block boundaries.
        let boundaries = (1...33).filter { $0 % 3 != 0 }.map { $0 * 4096 / Self.item }
        let elements = Array(boundaries.suffix(14)) + [0]
        let seeds = (0..<3).map { _ in random.next() }
        let results = try inThreads(3) { try raiseMany(database, elements, seeds[$0]) }
        let counts = results.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        try setup.begin()
        let array = try setup.root.array("a")
        for (element, count) in counts { #expect(try fields(array, element).max() == count) }
        #expect(try database.verify().problems == [])
    }
}
