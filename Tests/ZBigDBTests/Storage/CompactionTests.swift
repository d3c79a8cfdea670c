import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Compaction", .timeLimit(.minutes(15)))
struct CompactionTests {
    private static let block = Database.Configuration.small.blockSize
    /// Enough blocks for two extents.
    private static let count = 2 * OpenExtent.mostBytes / block

    private func fill(_ array: BigArray, _ blocks: Range<Int>, _ value: UInt8) throws {
        try array.withUnsafeMutableBytes(
            of: (blocks.lowerBound * Self.block)..<(blocks.upperBound * Self.block)
        ) {
            _ = memset($0.baseAddress!, Int32(value), $0.count)
        }
    }

    private func kinds(_ database: Database, _ array: BigArray) throws -> [ZBlkKind: Int] {
        let snapshot = try LMDBSnapshot(database.openStorage())
        var kinds: [ZBlkKind: Int] = [:]
        for record in try snapshot.parts(of: try #require(array.file.oid), from: [], limit: 100_000) {
            for part in record.value.recipe?.parts ?? [] { kinds[part.kind, default: 0] += 1 }
        }
        return kinds
    }

    private func checksum(_ array: BigArray) throws -> UInt32 {
        try array.withUnsafeBytes { CRC32C.checksum($0) }
    }

    /// An array of single blocks, with deltas on some.
    private func makeScattered(_ database: Database) throws -> (Connection, BigArray) {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [Self.count * Self.block], of: UInt8.self)
        try connection.commit()
        for block in stride(from: 0, to: Self.count, by: 2) {
            try fill(array, block..<(block + 1), UInt8(block & 127) + 1)
        }
        try connection.commit()
        for block in stride(from: 1, to: Self.count, by: 2) {
            try fill(array, block..<(block + 1), UInt8(block & 127) + 1)
        }
        try connection.commit()
        for block in stride(from: 0, to: Self.count, by: 5) {
            try array.setElement(block * Self.block + 5000, to: UInt8(200))
        }
        try connection.commit()
        return (connection, array)
    }

    @Test(
        "single blocks and deltas become extents; connections see the same bytes, before and after a boundary"
    )
    func joins() throws {
        let temporary = try TemporaryDatabase()
        let (connection, array) = try makeScattered(temporary.database)
        let before = try checksum(array)
        #expect(try kinds(temporary.database, array)[.extent] == nil)
        let other = try temporary.database.connect()
        let seen = try other.root.array("a")
        _ = try checksum(seen)
        // A change under way is neither lost nor a conflict.
        try array.setElement(7 * Self.block + 9, to: UInt8(99))

        let report = try temporary.database.compact()
        #expect(report.movedBlocks == Self.count)
        #expect(try kinds(temporary.database, array) == [.extent: Self.count])
        #expect(try temporary.database.verify().problems == [])
        #expect(try checksum(seen) == before)
        try other.begin()
        #expect(try checksum(seen) == before)
        try connection.commit()
        #expect(try array.element(7 * Self.block + 9, as: UInt8.self) == 99)
        try other.begin()
        #expect(try seen.element(7 * Self.block + 9, as: UInt8.self) == 99)
        #expect(try checksum(seen) == checksum(array))
        #expect(try temporary.database.verify().problems == [])
        // Nothing is left to do but the one change.
        #expect(try temporary.database.compact().movedBlocks == 1)
        #expect(try temporary.database.compact().movedBlocks == 0)
    }

    @Test("what is left of a mostly dead extent moves away by itself, and its space is used again")
    func tidies() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [Self.count * Self.block], of: UInt8.self)
        try fill(array, 0..<Self.count, 1)
        try connection.commit()
        #expect(try temporary.database.information().blocks == 2)
        // Every second block anew, a few in each transaction.
        for start in stride(from: 0, to: Self.count, by: 32) {
            for block in stride(from: start, to: min(start + 32, Self.count), by: 2) {
                try fill(array, block..<(block + 1), 2)
            }
            try connection.commit()
        }
        #expect(try kinds(temporary.database, array)[.extent] == nil)
        #expect(try temporary.database.verify().problems == [])
        let values = try array.withUnsafeBytes { bytes in (0..<Self.count).map { bytes[$0 * Self.block + 77] }
        }
        #expect(values == (0..<Self.count).map { $0 % 2 == 0 ? 2 : 1 })
    }

    @Test("a rewritten file has the same content and next to no free space", arguments: [false, true])
    func rewrites(history: Bool) throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        var configuration = Database.Configuration.small
        configuration.keepsHistory = history
        var before: UInt32 = 0
        do {
            let database = try Database(path, create: true, configuration: configuration)
            let (connection, array) = try makeScattered(database)
            before = try checksum(array)
            try connection.root.set("note", Note("kept"))
            // Written and given up: free space.
            let doomed = try connection.createArray("b", shape: [Self.count * Self.block], of: UInt8.self)
            try fill(doomed, 0..<Self.count, 3)
            try connection.commit()
            if !history {
                try doomed.resize([0])
                try connection.commit()
            }
            #expect(throws: StorageError.self) { try Database.rewrite(path, configuration: configuration) }
            try connection.close()
            try database.close()
        }
        let report = try Database.rewrite(path, configuration: configuration)
        #expect(history || report.fileBytesAfter * 3 < report.fileBytesBefore * 2)
        #expect(!FileManager.default.fileExists(atPath: path + LMDBRewrite.suffix))
        let database = try Database(path, configuration: configuration)
        #expect(try database.verify().problems == [])
        let connection = try database.connect()
        let array = try connection.root.array("a")
        #expect(try checksum(array) == before)
        #expect(try connection.note("note").text == "kept")
        if history {
            #expect(try kinds(database, try connection.root.array("b"))[.extent] == Self.count)
        } else {
            #expect(try kinds(database, array) == [.extent: Self.count])
        }
        // And it goes on.
        try array.setElement(0, to: UInt8(77))
        try connection.note("note").set("changed")
        #expect(try connection.commit() != nil)
        #expect(try database.verify().problems == [])
    }

    @Test("given up half-way, both kinds leave the database as it was")
    func interrupted() throws {
        struct Enough: Error {}
        let temporary = try TemporaryDatabase()
        let (connection, array) = try makeScattered(temporary.database)
        let before = try checksum(array)
        #expect(throws: Enough.self) { try temporary.database.compact { _ in throw Enough() } }
        #expect(try temporary.database.verify().problems == [])
        try connection.begin()
        #expect(try checksum(array) == before)
        let path = temporary.database.path
        try connection.close()
        try temporary.database.close()
        #expect(throws: Enough.self) {
            try Database.rewrite(path, configuration: .small) { _ in throw Enough() }
        }
        #expect(!FileManager.default.fileExists(atPath: path + LMDBRewrite.suffix))
        let database = try Database(path, configuration: .small)
        let again = try database.connect()
        #expect(try checksum(again.root.array("a")) == before)
    }
}
