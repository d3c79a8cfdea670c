import Testing
import VirtMem

@testable import ZBigDB

@Suite("Savepoints of arrays")
struct ArraySavepointTests {
    private static let block = Database.Configuration.small.blockSize

    private func makeArray(_ connection: Connection, blocks: Int = 4) throws -> BigArray {
        let array = try connection.createArray("a", shape: [blocks * Self.block], of: UInt8.self)
        try array.fill(with: UInt8(1))
        try connection.commit()
        return array
    }

    private func firsts(_ array: BigArray) throws -> [UInt8] {
        try stride(from: 0, to: array.count, by: Self.block).map { try array.element($0, as: UInt8.self) }
    }

    @Test(
        "E39 bytes go back to a savepoint, any number of times, under views too; the rest is committed",
        arguments: LoadMode.allCases)
    func rollback(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        let view = try array.view(as: UInt8.self)
        view[0] = 2
        view[Self.block] = 2
        let outer = try connection.savepointOfTransaction()
        view[0] = 3
        view[2 * Self.block] = 3
        let inner = try connection.savepointOfTransaction()
        for _ in 0..<2 {
            // A block of the outer savepoint, one of the inner, and one of none.
            view[Self.block] = 4
            view[2 * Self.block] = 4
            view[3 * Self.block] = 4
            try inner.rollback()
            #expect(try firsts(array) == [3, 2, 3, 1])
            #expect((0..<4).map { view[$0 * Self.block] } == [3, 2, 3, 1])
        }
        view[3 * Self.block] = 5
        _ = try connection.savepointOfTransaction()
        for _ in 0..<2 {
            try outer.rollback()
            #expect(try firsts(array) == [2, 2, 1, 1])
            view[3 * Self.block + 1] = 6
        }
        let other = try temporary.database.connect()
        #expect(try firsts(other.root.array("a")) == [1, 1, 1, 1])
        try connection.commit()
        try other.begin()
        #expect(try firsts(other.root.array("a")) == [2, 2, 1, 1])
        #expect(try array.element(3 * Self.block + 1, as: UInt8.self) == 6)
        try temporary.database.expectExactBlocks([array])
    }

    @Test(
        "E39 a savepoint before any change brings back what the transaction began with, and nothing is left over"
    )
    func beginning() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        // The connection takes part, with no change of the array.
        try connection.root.set("note", Note("note"))
        let savepoint = try connection.savepointOfTransaction()
        try array.setElement(5, to: UInt8(9))
        _ = try connection.savepointOfTransaction()
        try savepoint.rollback()
        #expect(try array.element(5, as: UInt8.self) == 1)
        try connection.commit()
        try temporary.database.expectExactBlocks([array])
        // And if nothing at all is left to commit: to write what is there is no change.
        try array.setElement(5, to: UInt8(1))
        let empty = try connection.savepointOfTransaction()
        try array.setElement(5, to: UInt8(9))
        _ = try connection.savepointOfTransaction()
        try empty.rollback()
        #expect(try connection.commit() == nil)
        #expect(try array.element(5, as: UInt8.self) == 1)
        let third = try temporary.database.connect()
        try third.root.set("end", Note("what was rolled back goes with a commit"))
        try third.commit()
        try temporary.database.expectExactBlocks([array])
    }

    @Test(
        "E39 shape and blocks go back together: appended, cut off, grown again", arguments: LoadMode.allCases)
    func shapes(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        try array.append([UInt8](repeating: 2, count: Self.block))
        let longer = try connection.savepointOfTransaction()
        try array.resize([2 * Self.block + 10])
        let shorter = try connection.savepointOfTransaction()
        try array.resize([6 * Self.block])
        try array.setElement(3 * Self.block, to: UInt8(7))
        _ = try connection.savepointOfTransaction()
        #expect(try firsts(array) == [1, 1, 1, 7, 0, 0])
        try shorter.rollback()
        #expect(array.shape == [2 * Self.block + 10])
        try array.resize([6 * Self.block])
        #expect(try firsts(array) == [1, 1, 1, 0, 0, 0])
        #expect(try array.element(2 * Self.block + 10, as: UInt8.self) == 0)
        try longer.rollback()
        #expect(try firsts(array) == [1, 1, 1, 1, 2])
        #expect(try array.element(2 * Self.block + 10, as: UInt8.self) == 1)
        try connection.commit()
        #expect(try firsts(array) == [1, 1, 1, 1, 2])
        try temporary.database.expectExactBlocks([array])
    }

    @Test("E39 an array made after a savepoint is gone with it; one made before keeps its bytes")
    func newArrays() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let early = try connection.createArray("early", shape: [Self.block], of: UInt8.self)
        try early.fill(with: UInt8(1))
        let savepoint = try connection.savepointOfTransaction()
        try early.fill(with: UInt8(2))
        let late = try connection.createArray("late", shape: [Self.block], of: UInt8.self)
        try late.fill(with: UInt8(2))
        _ = try connection.savepointOfTransaction()
        try savepoint.rollback()
        #expect(try connection.root.names() == ["early"] && late.oid == nil)
        #expect(try early.element(7, as: UInt8.self) == 1)
        try connection.commit()
        let other = try temporary.database.connect()
        #expect(try other.root.array("early").element(7, as: UInt8.self) == 1)
        try temporary.database.expectExactBlocks([early])
    }

    @Test("E39 conflicts are found at the commit only, and an abort takes everything back")
    func conflict() throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let array = try makeArray(one)
        try two.begin()
        let mine = try two.root.array("a")
        try mine.setElement(1, to: UInt8(5))
        let savepoint = try two.savepointOfTransaction()
        try mine.setElement(2, to: UInt8(5))
        try array.setElement(0, to: UInt8(8))
        try one.commit()
        try savepoint.rollback()
        #expect(try mine.read(as: UInt8.self).prefix(3) == [1, 5, 1])
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        #expect(try mine.read(as: UInt8.self).prefix(3) == [8, 1, 1])
        try mine.setElement(1, to: UInt8(5))
        _ = try two.savepointOfTransaction()
        try two.abort()
        #expect(try mine.read(as: UInt8.self).prefix(3) == [8, 1, 1])
        try one.root.set("end", Note("what was aborted goes with a commit"))
        try one.commit()
        try temporary.database.expectExactBlocks([array])
    }

    @Test("E39 inside a scoped access to what was changed a savepoint is refused")
    func scopedAccess() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        try array.withUnsafeMutableBytes { bytes in
            bytes[0] = 9
            let error = #expect(throws: VirtMemError.self) { try connection.savepointOfTransaction() }
            guard case .accessInProgress = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        #expect(throws: TransactionError.self) { try connection.commit() }
        try connection.abort()
        #expect(try array.element(0, as: UInt8.self) == 1)
    }
}
