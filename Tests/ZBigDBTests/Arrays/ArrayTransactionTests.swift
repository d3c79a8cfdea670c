import Testing
import VirtMem

@testable import ZBigDB

@Suite("Arrays and transactions", .serialized)
struct ArrayTransactionTests {
    private static let block = Database.Configuration.small.blockSize

    /// Two connections that see an array of 32 blocks of bytes, with block 31 a hole.
    private struct Pair {
        let temporary: TemporaryDatabase
        let one: Connection
        let two: Connection
        let first: BigArray
        let second: BigArray
        var database: Database { temporary.database }

        init(_ mode: LoadMode) throws {
            temporary = try TemporaryDatabase(mode.configuration)
            one = try temporary.database.connect()
            first = try one.createArray("a", shape: [32 * block], of: UInt8.self)
            for number in 0..<31 { try first.setElement(number * block, to: UInt8(number + 1)) }
            try one.commit()
            two = try temporary.database.connect()
            second = try two.root.array("a")
            #expect(try second.element(0, as: UInt8.self) == 1)
        }
    }

    private func get(_ array: BigArray, _ block: Int, _ offset: Int = 0) throws -> UInt8 {
        try array.element(block * Self.block + offset, as: UInt8.self)
    }

    private func set(_ array: BigArray, _ block: Int, _ offset: Int = 0, _ value: UInt8) throws {
        try array.setElement(block * Self.block + offset, to: value)
    }

    @Test(
        "E1 a block that was never written reads as zeros, and reading stores nothing",
        arguments: LoadMode.allCases)
    func holes(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let before = try pair.database.information()
        #expect(
            try pair.second.slice([.range(start: 31 * Self.block, stop: nil, step: 1)]).bytes()
                == [UInt8](repeating: 0, count: Self.block))
        #expect(try pair.two.commit() == nil)
        #expect(try pair.database.information() == before)
    }

    @Test("E15 a hole that another connection fills is seen at the boundary", arguments: LoadMode.allCases)
    func filledHole(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let view = try pair.second.view(as: UInt8.self)
        #expect(view[31 * Self.block + 7] == 0)
        try set(pair.first, 31, 7, 77)
        try pair.one.commit()
        #expect(view[31 * Self.block + 7] == 0)
        #expect(view[31 * Self.block + 8] == 0)
        try pair.two.begin()
        #expect(view[31 * Self.block + 7] == 77)
    }

    @Test("E16 E29 two that fill the same hole conflict, nothing is lost", arguments: LoadMode.allCases)
    func holeConflict(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        #expect(try get(pair.second, 31) == 0)
        try set(pair.first, 31, 0, 1)
        try set(pair.second, 31, 9, 2)
        try pair.one.commit()
        let error = #expect(throws: ConflictError.self) { try pair.two.commit() }
        #expect(error?.part == "block 31")
        #expect(error?.base == nil)
        try pair.two.abort()
        try set(pair.second, 31, 9, 2)
        try pair.two.commit()
        try pair.one.begin()
        #expect(try get(pair.first, 31, 0) == 1)
        #expect(try get(pair.first, 31, 9) == 2)
    }

    @Test("E20 E22 all blocks changed and aborted, twice; then committed twice", arguments: LoadMode.allCases)
    func abortAndCommit(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for _ in 0..<2 {
            for block in 0..<32 { try set(pair.first, block, 0, 200) }
            try pair.one.abort()
            for block in 0..<32 { #expect(try get(pair.first, block) == (block < 31 ? UInt8(block + 1) : 0)) }
        }
        for round in 1...2 {
            for block in 0..<32 { try set(pair.first, block, round, UInt8(round)) }
            try pair.one.commit()
        }
        try pair.two.begin()
        for block in 0..<31 {
            #expect(try (0..<4).map { try get(pair.second, block, $0) } == [UInt8(block + 1), 1, 2, 0])
        }
        for connection in [pair.one, pair.two] { try connection.close() }
        try pair.database.close()
        let database = try Database(pair.temporary.path, configuration: mode.configuration)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        for block in 0..<31 {
            #expect(try (0..<4).map { try get(array, block, $0) } == [UInt8(block + 1), 1, 2, 0])
        }
        #expect(try database.verify().problems == [])
    }

    @Test(
        "E23 E24 no write, or a write of the bytes there are, makes no transaction",
        arguments: LoadMode.allCases)
    func identical(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let before = try pair.database.information()
        #expect(try pair.one.commit() == nil)
        let view = try pair.first.view(as: UInt8.self)
        for block in 0..<32 { view[block * Self.block] = view[block * Self.block] }
        #expect(try pair.one.commit() == nil)
        #expect(try pair.database.information() == before)
        // It is no conflict for anybody either, and does not hide what others store.
        try set(pair.second, 3, 0, 99)
        view[3 * Self.block] = 4
        try pair.two.commit()
        #expect(try pair.one.commit() == nil)
        #expect(view[3 * Self.block] == 99)
        view[3 * Self.block + 1] = 5
        #expect(try pair.one.commit() != nil)
        try pair.two.begin()
        #expect(try get(pair.second, 3, 0) == 99)
        #expect(try get(pair.second, 3, 1) == 5)
    }

    @Test(
        "E26 nothing of others is seen in the middle, also in blocks loaded late",
        arguments: LoadMode.allCases)
    func snapshot(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for round in 1...5 {
            for block in 0..<32 { try set(pair.first, block, 0, UInt8(100 + round)) }
            try pair.one.commit()
        }
        for block in 1..<31 { #expect(try get(pair.second, block) == UInt8(block + 1)) }
        try pair.two.begin()
        for block in 0..<32 { #expect(try get(pair.second, block) == 105) }
    }

    @Test(
        "E27 E32 a boundary empties exactly the blocks others changed; own ones stay",
        arguments: LoadMode.allCases)
    func invalidation(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        for block in 0..<32 { _ = try get(pair.second, block) }
        let memory = try pair.second.memory()
        #expect(memory.residentBlocks == 32)
        for block in [3, 17] { try set(pair.first, block, 0, 250) }
        try pair.one.commit()
        try pair.two.begin()
        #expect(memory.residentBlocks == 30)
        #expect(try get(pair.second, 3) == 250)
        try set(pair.second, 5, 0, 251)
        try pair.two.commit()
        #expect(memory.residentBlocks == 31)
        #expect(try get(pair.second, 5) == 251)
    }

    @Test(
        "E28 a change of the same block conflicts; after the abort a retry works",
        arguments: LoadMode.allCases)
    func conflict(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let base = try pair.one.tid
        try set(pair.first, 4, 0, 101)
        try set(pair.second, 4, 9, 102)
        try set(pair.second, 6, 0, 103)
        let current = try pair.one.commit()
        let error = #expect(throws: ConflictError.self) { try pair.two.commit() }
        #expect(error?.oid == pair.first.file.oid)
        #expect(error?.className == "zbigdb.ZBigFile")
        #expect(error?.part == "block 4")
        #expect(error?.base == base)
        #expect(error?.current == current)
        try pair.two.abort()
        #expect(try get(pair.second, 4, 0) == 101)
        #expect(try get(pair.second, 4, 9) == 0)
        #expect(try get(pair.second, 6, 0) == 7)
        try set(pair.second, 4, 9, 102)
        try pair.two.commit()
        #expect(try get(pair.first, 4, 9) == 0)
        try pair.one.begin()
        #expect(try get(pair.first, 4, 0) == 101)
        #expect(try get(pair.first, 4, 9) == 102)
    }

    @Test("E30 changes of different blocks, stored and new, do not conflict", arguments: LoadMode.allCases)
    func differentBlocks(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let empty = try pair.one.createArray("empty", shape: [8 * Self.block], of: UInt8.self)
        try pair.one.commit()
        try pair.two.begin()
        let other = try pair.two.root.array("empty")
        for block in stride(from: 0, to: 32, by: 2) {
            try set(pair.first, block, 1, 11)
            try set(pair.second, block + 1, 1, 12)
        }
        try set(empty, 0, 0, 1)
        try set(other, 5, 0, 2)
        try pair.one.commit()
        try pair.two.commit()
        try pair.one.begin()
        for array in [pair.first, pair.second] {
            for block in 0..<32 { #expect(try get(array, block, 1) == (block % 2 == 0 ? 11 : 12)) }
        }
        for array in [empty, other] {
            #expect(try get(array, 0) == 1)
            #expect(try get(array, 5) == 2)
        }
    }

    @Test(
        "E35 F42 a write through a view takes part, and views follow commits and aborts",
        arguments: LoadMode.allCases)
    func views(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let view = try pair.first.view(as: UInt8.self)
        let part = try pair.first.view(
            [.range(start: Self.block, stop: 2 * Self.block, step: 1)], as: UInt8.self)
        let address = view.baseAddress
        view[Self.block] = 42
        #expect(part[0] == 42)
        #expect(try get(pair.first, 1) == 42)
        try pair.one.abort()
        #expect(view[Self.block] == 2)
        part[0] = 43
        #expect(try pair.one.commit() != nil)
        #expect(view[Self.block] == 43)
        try pair.two.begin()
        try set(pair.second, 1, 0, 44)
        try pair.two.commit()
        #expect(part[0] == 43)
        try pair.one.begin()
        #expect(part[0] == 44)
        #expect(view.baseAddress == address)
    }

    @Test("E38 a write after a failed commit is dropped by the abort", arguments: LoadMode.allCases)
    func writeAfterFailure(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let view = try pair.second.view(as: UInt8.self)
        try set(pair.first, 4, 0, 101)
        view[4 * Self.block] = 102
        try pair.one.commit()
        #expect(throws: ConflictError.self) { try pair.two.commit() }
        #expect(view[4 * Self.block] == 101)
        view[4 * Self.block] = 103
        view[5 * Self.block] = 104
        #expect(throws: TransactionError.self) { try pair.two.commit() }
        try pair.two.abort()
        #expect(view[4 * Self.block] == 101)
        #expect(view[5 * Self.block] == 6)
        #expect(try pair.two.commit() == nil)
    }

    @Test("G26 a begin drops what was written through a view before it", arguments: LoadMode.allCases)
    func writeBeforeBegin(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let view = try pair.first.view(as: UInt8.self)
        view[0] = 9
        try pair.one.begin()
        #expect(view[0] == 1)
        #expect(try pair.one.commit() == nil)
    }

    @Test("E41 a connection follows its own manager's transactions only", arguments: LoadMode.allCases)
    func managers(_ mode: LoadMode) throws {
        let pair = try Pair(mode)
        let manager = TransactionManager()
        let connection = try pair.database.connect(transactionManager: manager)
        let view = try connection.root.array("a").view(as: UInt8.self)
        view[0] = 50
        try pair.one.commit()
        try pair.two.abort()
        #expect(view[0] == 50)
        try manager.abort()
        #expect(view[0] == 1)
        view[0] = 51
        try manager.commit()
        try pair.one.begin()
        #expect(try get(pair.first, 0) == 51)
    }
}
