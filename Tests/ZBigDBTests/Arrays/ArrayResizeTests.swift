import Testing
import VirtMem

@testable import ZBigDB

@Suite("Shapes that change", .serialized)
struct ArrayResizeTests {
    private static let block = Database.Configuration.small.blockSize

    @Test("F26 growing only changes the shape; old views stay and alias", arguments: LoadMode.allCases)
    func grow(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [10], of: Int32.self)
        try array.write((0..<10).map { Int32($0) })
        try connection.commit()
        let view = try array.view(as: Int32.self)
        try array.resize([1 << 24])
        #expect(array.shape == [1 << 24])
        #expect(view.shape == [10])
        #expect(try array.element(10, as: Int32.self) == 0)
        #expect(try array.element((1 << 24) - 1, as: Int32.self) == 0)
        try array.setElement(3, to: Int32(33))
        #expect(view[3] == 33)
        try connection.commit()
        #expect(try array.storedBlocks().blocks == 1)
        let other = try temporary.database.connect()
        #expect(try other.root.array("a").shape == [1 << 24])
    }

    enum Between: String, CaseIterable, Sendable { case nothing, commit, reopen }

    @Test(
        "F27 what was cut off reads as zeros when the array grows again", arguments: LoadMode.allCases,
        Between.allCases)
    func shrinkAndGrow(_ mode: LoadMode, _ between: Between) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        var connection = try temporary.database.connect()
        let size = 4 * Self.block
        let keep = Self.block + 100
        do {
            let array = try connection.createArray("a", shape: [size], of: UInt8.self)
            try array.fill(with: UInt8(7))
            try connection.commit()
        }
        func step(_ body: (BigArray) throws -> Void) throws {
            try body(connection.root.array("a"))
            if between == .nothing { return }
            try connection.commit()
            guard between == .reopen else { return }
            let database = connection.database
            try connection.close()
            try database.close()
            connection = try Database(temporary.path, configuration: mode.configuration).connect()
        }
        try step { try $0.resize([keep]) }
        #expect(try connection.root.array("a").read(as: UInt8.self) == [UInt8](repeating: 7, count: keep))
        try step { try $0.resize([size]) }
        let expected = [UInt8](repeating: 7, count: keep) + [UInt8](repeating: 0, count: size - keep)
        #expect(try connection.root.array("a").read(as: UInt8.self) == expected)
        // Written again, also in part.
        try step { try $0.setElement(3 * Self.block + 5, to: UInt8(9)) }
        let array = try connection.root.array("a")
        #expect(try array.element(3 * Self.block + 5, as: UInt8.self) == 9)
        #expect(try array.element(3 * Self.block + 6, as: UInt8.self) == 0)
        try connection.commit()
        #expect(try array.storedBlocks().blocks == 3)
        #expect(try connection.database.verify().problems == [])
        let other = try connection.database.connect()
        #expect(try other.root.array("a").element(2 * Self.block, as: UInt8.self) == 0)
    }

    @Test("F27 a shrink that is aborted brings everything back", arguments: LoadMode.allCases)
    func shrinkAndAbort(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [4 * Self.block], of: UInt8.self)
        try array.fill(with: UInt8(7))
        try connection.commit()
        let view = try array.view(as: UInt8.self)
        try array.resize([10])
        try array.resize([4 * Self.block])
        #expect(view[Self.block] == 0)
        #expect(view[10] == 0)
        #expect(view[9] == 7)
        view[3 * Self.block] = 1
        try connection.abort()
        #expect(array.shape == [4 * Self.block])
        #expect(try array.read(as: UInt8.self).allSatisfy { $0 == 7 })
        #expect(view[3 * Self.block] == 7)
        #expect(try connection.commit() == nil)
    }

    @Test("F28 other axes and ranks reinterpret the same bytes")
    func reinterpret() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [4, 3], of: Int16.self)
        let values = (0..<12).map { Int16($0) }
        try array.write(values)
        try array.resize([3, 4])
        #expect(try array.read(as: Int16.self) == values)
        #expect(try array.element(1, 0, as: Int16.self) == 4)
        try array.resize([2, 2, 3])
        #expect(try array.element(1, 0, 2, as: Int16.self) == 8)
        try array.resize([2, 5])
        #expect(try array.read(as: Int16.self) == Array(values[0..<10]))
        try array.resize([12])
        #expect(try array.read(as: Int16.self) == Array(values[0..<10]) + [0, 0])
        #expect(throws: ArrayError.self) { try array.resize([-1]) }
        #expect(throws: ArrayError.self) { try array.resize([1 << 40, 1 << 40]) }
        #expect(array.shape == [12])
    }

    @Test("F29 F31 F33 append grows the major axis, in both orders, from empty, by nothing")
    func append() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        for order in [Order.c, .fortran] {
            let shape = order == .c ? [0, 2, 3] : [2, 3, 0]
            let array = try connection.createArray("\(order)", shape: shape, of: Int32.self, order: order)
            #expect(array.length == 0)
            try array.append([Int32]())
            #expect(array.length == 0)
            let rows = (0..<4).map { row in (0..<6).map { Int32(100 * row + $0) } }
            // Values come in C order of the added part's shape.
            func values(_ range: Range<Int>) -> [Int32] {
                if order == .c { return range.flatMap { rows[$0] } }
                return (0..<6).flatMap { item in range.map { rows[$0][item] } }
            }
            try array.append(values(0..<1))
            try array.append(values(1..<4))
            try array.append([Int32]())
            #expect(array.shape == (order == .c ? [4, 2, 3] : [2, 3, 4]))
            #expect(array.length == 4)
            #expect(try array.read(as: Int32.self) == values(0..<4))
            try connection.commit()
            let other = try temporary.database.connect()
            #expect(try other.root.array("\(order)").read(as: Int32.self) == values(0..<4))
        }
        // The order decides the axis, not the strides (F33).
        let tied = try connection.createArray("tied", shape: [1, 3], of: Int32.self, order: .fortran)
        #expect(tied.majorAxis == 1)
        try tied.append([Int32(9)])
        #expect(tied.shape == [1, 4])
        let empty = try connection.createArray("rows of nothing", shape: [3, 0], of: Int32.self)
        #expect(empty.length == 3)
        try empty.append([Int32]())
        #expect(empty.shape == [3, 0])
    }

    @Test("a new array is resized and appended to before anything else happens to it")
    func newArray() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [10], of: Int32.self)
        try array.resize([2])
        try array.append([Int32(7)])
        try connection.commit()
        let other = try temporary.database.connect()
        #expect(try other.root.array("a").read(as: Int32.self) == [0, 0, 7])
        let loose = try BigArray(shape: [10], dtype: .int32)
        try loose.resize([0])
        #expect(throws: DatabaseError.self) { try loose.append([Int32(7)]) }
        #expect(loose.shape == [0])
    }

    @Test("F30 F32 an append that does not fit is refused and changes nothing")
    func badAppend() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [2, 3], of: Int32.self)
        try connection.commit()
        #expect(throws: ArrayError.self) { try array.append([Int32](repeating: 1, count: 4)) }
        #expect(throws: ArrayError.self) { try array.append([Int64](repeating: 1, count: 3)) }
        #expect(throws: ArrayError.self) { try array.append([Int32(1)]) }
        #expect(array.shape == [2, 3])
        #expect(try connection.commit() == nil)
        let scalar = try connection.createArray("scalar", shape: [], of: Int32.self)
        #expect(throws: ArrayError.self) { try scalar.append([Int32(1)]) }
    }

    @Test("F39 two that resize, or append, conflict; after the abort the first's shape is seen")
    func metadataConflict() throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try one.createArray("a", shape: [10], of: Int32.self)
        try one.commit()
        try two.begin()
        let second = try two.root.array("a")
        try first.resize([20])
        try second.append([Int32(5)])
        try one.commit()
        let error = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(error?.oid == first.oid)
        #expect(error?.className == "zbigdb.BigArray")
        try two.abort()
        #expect(second.shape == [20])
        #expect(try second.read(as: Int32.self) == [Int32](repeating: 0, count: 20))
    }

    @Test("F40 after a boundary the other's shape and data are seen", arguments: LoadMode.allCases)
    func seenByOthers(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try one.createArray("a", shape: [4], of: Int32.self)
        try first.fill(with: Int32(1))
        try one.commit()
        try two.begin()
        let second = try two.root.array("a")
        #expect(try second.read(as: Int32.self) == [1, 1, 1, 1])
        try first.append([Int32](repeating: 2, count: Self.block / 2))
        try one.commit()
        #expect(second.shape == [4])
        try two.begin()
        #expect(second.shape == [4 + Self.block / 2])
        #expect(try second.element(4, as: Int32.self) == 2)
        #expect(try second.element(3 + Self.block / 2, as: Int32.self) == 2)
        try first.resize([2])
        try one.commit()
        try two.begin()
        #expect(second.shape == [2])
        try second.resize([6])
        #expect(try second.read(as: Int32.self) == [1, 1, 0, 0, 0, 0])
    }

    @Test("F41 append then abort; append again", arguments: LoadMode.allCases)
    func appendAndAbort(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [4], of: Int32.self)
        try array.fill(with: Int32(1))
        try connection.commit()
        for _ in 0..<2 {
            try array.append([Int32](repeating: 2, count: Self.block))
            try connection.abort()
            #expect(array.shape == [4])
        }
        try array.resize([6])
        #expect(try array.read(as: Int32.self) == [1, 1, 1, 1, 0, 0])
        try connection.abort()
        try array.append([Int32(3)])
        try connection.commit()
        #expect(try array.read(as: Int32.self) == [1, 1, 1, 1, 3])
        try array.resize([6])
        #expect(try array.read(as: Int32.self) == [1, 1, 1, 1, 3, 0])
    }
}
