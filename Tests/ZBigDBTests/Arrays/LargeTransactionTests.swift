import Foundation
import Testing
import VirtMem

@testable import ZBigDB

/// Transactions that change many times the dirty budget, as the database's users see them.
@Suite("Transactions larger than their budget", .serialized, .timeLimit(.minutes(15)))
struct LargeTransactionTests {
    private static let block = Database.Configuration.small.blockSize
    private static let budget = 8 * block

    private func configuration(_ mode: LoadMode) -> Database.Configuration {
        var configuration = mode.configuration
        configuration.dirtyBudget = Self.budget
        return configuration
    }

    private func fill(_ array: BigArray, _ blocks: Range<Int>, _ byte: UInt8) throws {
        for block in blocks {
            try array.withUnsafeMutableBytes(of: (block * Self.block)..<((block + 1) * Self.block)) { bytes in
                _ = bytes.initializeMemory(as: UInt8.self, repeating: byte)
            }
        }
    }

    /// The bytes found at the start of each page.
    private func found(_ array: BigArray, _ blocks: Range<Int>) throws -> Set<UInt8> {
        try array.withUnsafeBytes(of: (blocks.lowerBound * Self.block)..<(blocks.upperBound * Self.block)) {
            bytes in
            Set(stride(from: 0, to: bytes.count, by: 4096).map { bytes[$0] })
        }
    }

    @Test(
        "many times the budget: readers see nothing before, others commit meanwhile, then all is there",
        arguments: LoadMode.allCases)
    func large(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(configuration(mode))
        let database = temporary.database
        let (one, two, reader) = (
            try database.connect(), try database.connect(), try database.connect()
        )
        let array = try one.createArray("a", shape: [200 * Self.block], of: UInt8.self)
        try fill(array, 0..<100, 1)
        try two.root.set("note", Note("0"))
        try two.commit()
        try one.commit()
        try reader.begin()
        try two.begin()
        let (seen, second) = (try reader.root.array("a"), try two.root.array("a"))
        for round in 0..<8 {
            try fill(array, (round * 25)..<(round * 25 + 25), UInt8(round + 2))
            // Others commit: objects, and pages of blocks that this transaction leaves alone.
            try two.note("note").set("\(round)")
            try two.commit()
            #expect(try found(seen, 0..<100) == [1])
            #expect(try found(second, 100..<200) == [0])
            #expect(try found(array, 0..<(round * 25 + 25)) == Set(2...UInt8(round + 2)))
            #expect(database.dirtyBudget.usedBytes <= Self.budget + Self.budget / 4)
        }
        #expect(database.dirtyBudget.spilledBlocks >= 180)
        #expect(try database.information().pendingBlocks > 0)
        #expect(try database.verify().problems == [])
        try one.commit()
        #expect(try found(seen, 0..<200) == [0, 1])
        for connection in [two, reader] {
            try connection.begin()
            for round in 0..<8 {
                let blocks = (round * 25)..<(round * 25 + 25)
                #expect(try found(connection.root.array("a"), blocks) == [UInt8(round + 2)])
            }
        }
        #expect(try two.note("note").text == "7")
        try database.expectExactBlocks([array])
    }

    @Test("an abort leaves the live data as before", arguments: LoadMode.allCases)
    func abort(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(configuration(mode))
        let database = temporary.database
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [100 * Self.block], of: UInt8.self)
        try fill(array, 0..<100, 1)
        try connection.root.set("note", Note("0"))
        try connection.commit()
        let (before, ids) = (try database.information(), try database.blockIDs())
        for round in 1...3 {
            try fill(array, 0..<100, UInt8(round + 1))
            if round == 2 { try array.resize([50 * Self.block]) }
            #expect(try database.information().pendingBlocks > 0)
            try connection.abort()
            #expect(try found(array, 0..<100) == [1])
            try connection.note("note").set("\(round)")
            try connection.commit()
            let after = try database.information()
            #expect(after.pendingBlocks == 0 && after.blocks == before.blocks)
            #expect(try database.blockIDs() == ids)
            try database.expectExactBlocks([array])
        }
        // Space of what was aborted is used again.
        #expect(try database.information().usedBytes < 5 * before.usedBytes)
        // A connection that is let go of in the middle leaves nothing either.
        do {
            let lost = try database.connect()
            try fill(try lost.root.array("a"), 0..<100, 9)
        }
        try connection.note("note").set("after")
        try connection.commit()
        #expect(try database.information().pendingBlocks == 0)
        let reader = try database.connect()
        #expect(try found(reader.root.array("a"), 0..<100) == [1])
        #expect(try database.verify().problems == [])
    }

    @Test("a full database is the error of the write that needed room; after the abort all goes on")
    func full() throws {
        var configuration = configuration(.maps)
        configuration.mapSize = 1 << 20
        configuration.maximumSize = 40 << 20
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [1000 * Self.block], of: UInt8.self)
        try fill(array, 0..<20, 1)
        try connection.commit()
        for _ in 0..<3 {
            let error = #expect(throws: VirtMemError.self) { try fill(array, 0..<1000, 2) }
            guard case .spillFailed(_, _, let cause as StorageError) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(cause == .full(path: temporary.path, limit: 40 << 20))
            try connection.abort()
            #expect(try found(array, 0..<20) == [1])
            #expect(try found(array, 20..<1000) == [0])
            try fill(array, 0..<5, 3)
            try connection.commit()
            try fill(array, 0..<5, 1)
            try connection.commit()
            #expect(try database.verify().problems == [])
        }
        // A full file lets go of what was aborted in small pieces.
        for round in 0..<40 where try database.information().pendingBlocks > 0 {
            try connection.root.set("note", Note("\(round)"))
            try connection.commit()
        }
        try database.expectExactBlocks([array])
    }

    @Test(
        "three connections share one budget, and each commits what it changed", arguments: LoadMode.allCases)
    func shared(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(configuration(mode))
        let database = temporary.database
        let setup = try database.connect()
        for name in ["0", "1", "2"] {
            let array = try setup.createArray(name, shape: [60 * Self.block], of: UInt8.self)
            try fill(array, 0..<60, 1)
        }
        try setup.commit()
        _ = try inThreads(3) { number in
            let connection = try database.connect()
            let array = try connection.root.array("\(number)")
            for round in 2..<12 {
                try fill(array, 0..<60, UInt8(round))
                if round % 3 == 0 {
                    try array.resize([30 * Self.block])
                    try array.resize([60 * Self.block])
                    #expect(try found(array, 30..<60) == [0])
                    try fill(array, 30..<60, UInt8(round))
                }
                #expect(try found(array, 0..<60) == [UInt8(round)])
                if round % 4 == 0 {
                    try connection.abort()
                    #expect(try found(array, 0..<60) == [UInt8(round - 1)])
                } else {
                    try connection.commit()
                }
            }
            try connection.close()
        }
        try setup.begin()
        let arrays = try ["0", "1", "2"].map { try setup.root.array($0) }
        for array in arrays { #expect(try found(array, 0..<60) == [11]) }
        try setup.root.set("end", Note("end"))
        try setup.commit()
        try database.expectExactBlocks(arrays)
    }

    @Test(
        "anonymous memory stays bounded, whatever a transaction changes",
        .enabled(
            if: ProcessInfo.processInfo.environment["ZBIGDB_SANITIZER"] == nil,
            "a sanitizer keeps freed memory"))
    func memory() async throws {
        let folder = try TemporaryFolder()
        await #expect(processExitsWith: .success) { [path = folder.file() as String] in
            var configuration = Database.Configuration()
            configuration.dirtyBudget = 16 << 20
            configuration.durability = .none
            configuration.arrayReservation = 1 << 30
            let database = try Database(path, create: true, configuration: configuration)
            let connection = try database.connect()
            func anonymous() throws -> Int {
                let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
                return try #require(line.split(separator: " ").compactMap { Int($0) }.first) << 10
            }
            let size = 256 << 20
            let array = try connection.createArray("a", shape: [size], of: UInt8.self)
            let start = try anonymous()
            var most = 0
            for round in 1...2 {
                for at in stride(from: 0, to: size, by: 1 << 20) {
                    try array.withUnsafeMutableBytes(of: at..<(at + 1 << 20)) { bytes in
                        _ = bytes.initializeMemory(as: UInt8.self, repeating: UInt8(round))
                    }
                    most = max(most, try anonymous() - start)
                }
            }
            try connection.commit()
            most = max(most, try anonymous() - start)
            // The budget, and what LMDB takes for one of its transactions.
            #expect(most < 96 << 20)
            #expect(try array.element(size - 1, as: UInt8.self) == 2)
            try connection.close()
        }
        let reader = try Database(folder.file()).connect()
        let array = try reader.root.array("a")
        try array.withUnsafeBytes { bytes in
            #expect(stride(from: 0, to: bytes.count, by: 4096).allSatisfy { bytes[$0] == 2 })
        }
    }
}
