import Foundation
import Testing
import VirtMem

@testable import ZBigDB

/// Changes that were stored ahead of their commit: what the array shows, what becomes of them.
@Suite("Changes stored ahead of their commit", .serialized)
struct SpilledChangeTests {
    private static let block = Database.Configuration.small.blockSize

    /// Two connections that see an array of bytes with the number of each block, plus one, all over it.
    private struct Pair {
        let temporary: TemporaryDatabase
        let one: Connection
        let two: Connection
        let first: BigArray
        let second: BigArray
        var database: Database { temporary.database }

        init(_ mode: LoadMode, blocks: Int = 12) throws {
            temporary = try TemporaryDatabase(mode.configuration)
            one = try temporary.database.connect()
            first = try one.createArray("a", shape: [blocks * block], of: UInt8.self)
            for number in 0..<blocks {
                try first.fill(
                    [.range(start: number * block, stop: (number + 1) * block, step: 1)],
                    with: UInt8(number + 1))
            }
            try one.commit()
            two = try temporary.database.connect()
            second = try two.root.array("a")
        }
    }

    private func get(_ array: BigArray, _ block: Int, _ offset: Int = 0) throws -> UInt8 {
        try array.element(block * Self.block + offset, as: UInt8.self)
    }

    private func set(_ array: BigArray, _ block: Int, _ offset: Int = 0, _ value: UInt8) throws {
        try array.setElement(block * Self.block + offset, to: value)
    }

    @Test(
        "they are seen by their transaction only, then by all, and again changed they are changed",
        arguments: LoadMode.allCases)
    func visibility(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        try set(pair.first, 3, 10, 100)
        try pair.first.spill()
        #expect(try get(pair.first, 3, 10) == 100)
        #expect(try get(pair.first, 3, 11) == 4)
        #expect(try pair.database.information().pendingBlocks == 1)
        try set(pair.first, 3, 4096, 101)
        try set(pair.first, 3, 11, 102)
        try pair.first.spill()
        try set(pair.first, 3, 12, 103)
        #expect(try pair.database.verify().problems == [])
        try pair.two.begin()
        #expect(try get(pair.second, 3, 10) == 4)
        try pair.one.commit()
        let expected: [UInt8] = [4, 100, 102, 103, 4, 101]
        let places = [9, 10, 11, 12, 4095, 4096]
        #expect(try places.map { try get(pair.first, 3, $0) } == expected)
        #expect(try places.map { try get(pair.second, 3, $0) } == [4, 4, 4, 4, 4, 4])
        try pair.two.begin()
        #expect(try places.map { try get(pair.second, 3, $0) } == expected)
        try pair.database.expectExactBlocks([pair.first])
    }

    @Test("an abort takes them back, whether changed again or not", arguments: LoadMode.allCases)
    func abort(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for block in [2, 3, 4] { try set(pair.first, block, 7, 200) }
        try pair.first.spill()
        try set(pair.first, 3, 8, 201)
        try set(pair.first, 5, 8, 201)
        try pair.one.abort()
        for block in 2...5 {
            #expect(try get(pair.first, block, 7) == UInt8(block + 1))
            #expect(try get(pair.first, block, 8) == UInt8(block + 1))
        }
        try set(pair.first, 0, 0, 9)
        try pair.one.commit()
        try pair.database.expectExactBlocks([pair.first])
    }

    @Test(
        "a failed commit and its abort take them back, also those changed again after they were stored",
        arguments: LoadMode.allCases)
    func failedCommit(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for block in [2, 3] { try set(pair.first, block, 7, 200) }
        try pair.first.spill()
        try set(pair.first, 3, 8, 201)
        try set(pair.first, 5, 8, 201)
        try pair.two.begin()
        try set(pair.second, 5, 9, 1)
        try pair.two.commit()
        #expect(throws: ConflictError.self) { try pair.one.commit() }
        try pair.one.abort()
        for block in 2...4 {
            #expect(try get(pair.first, block, 7) == UInt8(block + 1))
            #expect(try get(pair.first, block, 8) == UInt8(block + 1))
        }
        #expect(try [7, 8, 9].map { try get(pair.first, 5, $0) } == [6, 6, 1])
        try set(pair.first, 3, 0, 9)
        try pair.one.commit()
        try pair.two.begin()
        #expect(try [0, 7, 8].map { try get(pair.second, 3, $0) } == [9, 4, 4])
        try pair.database.expectExactBlocks([pair.first])
    }

    @Test(
        "a commit that changes nothing in the end leaves nothing of what it stored ahead",
        arguments: LoadMode.allCases)
    func nothingInTheEnd(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let empty = try pair.one.createArray("empty", shape: [4 * Self.block], of: UInt8.self)
        try pair.one.commit()
        let before = try pair.database.information()
        try empty.fill(with: UInt8(5))
        try empty.spill()
        try empty.fill(with: UInt8(0))
        #expect(try pair.one.commit() == nil)
        #expect(try get(empty, 2) == 0)
        try set(pair.first, 1, 0, 77)
        try pair.one.commit()
        #expect(try pair.database.information().blocks == before.blocks + 1)
        try pair.database.expectExactBlocks([pair.first, empty])
    }

    @Test("cut off blocks stay cut off, and grow again as zeros", arguments: LoadMode.allCases)
    func cutOff(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for block in 4..<8 { try set(pair.first, block, 1, 200) }
        try pair.first.spill()
        try set(pair.first, 6, 2, 201)
        try pair.first.resize([5 * Self.block + 100])
        try pair.first.resize([12 * Self.block])
        #expect(try get(pair.first, 5, 1) == 200)
        #expect(try [1, 2, 100].map { try get(pair.first, 6, $0) } == [0, 0, 0])
        try set(pair.first, 7, 3, 202)
        try pair.first.spill()
        #expect(try [1, 2, 3].map { try get(pair.first, 7, $0) } == [0, 0, 202])
        try pair.one.commit()
        try pair.two.begin()
        for array in [pair.first, pair.second] {
            #expect(try [1, 99, 100, 101].map { try get(array, 5, $0) } == [200, 6, 0, 0])
            #expect(try [1, 2, 3].map { try get(array, 6, $0) } == [0, 0, 0])
            #expect(try [1, 2, 3].map { try get(array, 7, $0) } == [0, 0, 202])
            #expect(try get(array, 11, 0) == 0)
        }
        try pair.database.expectExactBlocks([pair.first])
    }

    /// In a process of its own, because all commits of a process reach the same places.
    @Test(
        "others store the same connection's blocks ahead only until its commit begins",
        arguments: LoadMode.allCases)
    func duringCommit(_ mode: LoadMode) async throws {
        let folder = try TemporaryFolder()
        await #expect(processExitsWith: .success) {
            [path = folder.file() as String, name = mode.rawValue as String] in
            var configuration = try #require(LoadMode(rawValue: name)).configuration
            configuration.dirtyBudget = 24 << 20
            let database = try Database(path, create: true, configuration: configuration)
            let one = try database.connect()
            // Two arrays: while the first is stored, nobody has begun with the second.
            let large = try one.createArray("large", shape: [LMDBBlockWriter.batchBytes], of: UInt8.self)
            try large.setElement(0, to: UInt8(1))
            let small = try one.createArray("small", shape: [16 * 65536], of: UInt8.self)
            try small.setBytes(1)
            try one.commit()
            #expect(try #require(large.file.oid) < #require(small.file.oid))
            let two = try database.connect()
            nonisolated(unsafe) let other = try two.createArray("other", shape: [16 << 20], of: UInt8.self)
            try two.commit()
            try one.begin()
            try large.setBytes(2)
            try small.setBytes(2)
            let done = DispatchSemaphore(value: 0)
            nonisolated(unsafe) var isFirst = true
            CommitProbe.set { place in
                guard place == .blocksWritten, isFirst else { return }
                isFirst = false
                // Another thread goes past the budget that all connections share.
                Thread.detachNewThread {
                    for start in stride(from: 0, to: 16 << 20, by: 65536) {
                        try? other.setBytes(9, in: start..<(start + 65536))
                    }
                    done.signal()
                }
                done.wait()
            }
            try one.commit()
            CommitProbe.set(nil)
            #expect(!isFirst)
            for round in 3...5 {
                try small.setElement(round, to: UInt8(round))
                try one.commit()
            }
            try two.commit()
            let reader = try database.connect()
            let arrays = try ["large", "small", "other"].map { try reader.root.array($0) }
            for (array, byte) in zip(arrays, [2, 2, 9] as [UInt8]) {
                for at in stride(from: 4096, to: array.count, by: 4096) {
                    #expect(try array.element(at, as: UInt8.self) == byte)
                }
            }
            #expect(try (3...5).map { try arrays[1].element($0, as: UInt8.self) } == [3, 4, 5])
            try database.expectExactBlocks(arrays)
        }
        withExtendedLifetime(folder) {}
    }
}
