import Testing
import VirtMem

@testable import ZBigDB

@Suite("Access to array elements", .serialized)
struct ArrayAccessTests {
    private let temporary: TemporaryDatabase
    private let connection: Connection
    private static let block = Database.Configuration.small.blockSize

    init() throws {
        temporary = try TemporaryDatabase()
        connection = try temporary.database.connect()
    }

    @Test("F1 F2 F6 F8 shape, order, strides and sizes are kept", arguments: [Order.c, .fortran])
    func facts(_ order: Order) throws {
        let array = try connection.createArray("a", shape: [2, 3, 4], of: Int32.self, order: order)
        try connection.commit()
        let other = try temporary.database.connect()
        for array in [array, try other.root.array("a")] {
            #expect(array.shape == [2, 3, 4])
            #expect(array.order == order)
            #expect(array.strides == (order == .c ? [48, 16, 4] : [4, 8, 24]))
            #expect(array.count == 24)
            #expect(array.byteCount == 96)
            #expect(array.rank == 3)
            #expect(array.length == (order == .c ? 2 : 4))
            #expect(array.dtype == .int32)
        }
    }

    @Test("F3 F36 negative and impossible shapes are refused when the array is made")
    func badShapes() throws {
        for shape in [[-1], [3, -2], [1 << 62, 4], [Int.max]] {
            #expect(throws: ArrayError.self) { try connection.createArray("a", shape: shape, of: Int64.self) }
        }
        #expect(try connection.commit() == nil)
    }

    @Test("F9 F10 F14 F15 F24 slices alias the array, in every direction, across blocks")
    func slices() throws {
        let (rows, columns) = (5, Self.block / 4 + 3)
        let array = try connection.createArray("a", shape: [rows, columns], of: Int32.self)
        let all = (0..<(rows * columns)).map { Int32($0) }
        try array.write(all)
        func expect(_ text: String, _ expected: [Int]) throws {
            #expect(
                try array.read(SliceExpression(parsing: text), as: Int32.self) == expected.map { all[$0] })
        }
        try expect("1:3, :2", [columns, columns + 1, 2 * columns, 2 * columns + 1])
        try expect("::-2, 0", [4 * columns, 2 * columns, 0])
        try expect("3, ::-\(columns - 1)", [4 * columns - 1, 3 * columns])
        try expect("-1, -1", [rows * columns - 1])
        try expect("8::-2, 7", [4 * columns + 7, 2 * columns + 7, 7])
        let column = try array.slice(SliceExpression(parsing: "1:4, 5"))
        try column.set([Int32](arrayLiteral: -1, -2, -3))
        #expect(try array.element(2, 5, as: Int32.self) == -2)
        let view = try array.view(SliceExpression(parsing: "::-1, 5"), as: Int32.self)
        #expect((0..<5).map { view[$0] } == [all[4 * columns + 5], -3, -2, -1, all[5]])
        view[0] = 99
        #expect(try array.element(4, 5, as: Int32.self) == 99)
        #expect(try column.slice(SliceExpression(parsing: "::2")).values(as: Int32.self) == [-1, -3])
    }

    @Test("F11 F12 F34 empty slices and arrays have NumPy's shapes and touch nothing")
    func empty() throws {
        let array = try connection.createArray("a", shape: [10, 5], of: Int32.self)
        for (text, shape) in [("5:5", [0, 5]), ("10:5", [0, 5]), ("20:", [0, 5]), ("2:2, 1:3", [0, 2])] {
            let slice = try array.slice(SliceExpression(parsing: text))
            #expect(slice.shape == shape)
            #expect(try slice.values(as: Int32.self) == [])
            try slice.set([Int32]())
        }
        #expect(throws: ArrayError.self) { try array.slice(SliceExpression(parsing: "2:2, 7")) }
        for shape in [[0, 3, 2], [3, 0, 2], [0]] {
            let array = try connection.createArray("\(shape)", shape: shape, of: Int32.self)
            #expect(try array.read(as: Int32.self) == [])
            #expect(try array.view(as: Int32.self).shape == shape)
            try array.fill(with: Int32(1))
        }
        let scalar = try connection.createArray("scalar", shape: [], of: Int32.self)
        #expect(try scalar.read(as: Int32.self) == [0])
        try scalar.write([Int32(5)])
        try connection.commit()
        #expect(try scalar.element(as: Int32.self) == 5)
        #expect(try connection.root.array("[3, 0, 2]").storedBlocks().blocks == 0)
    }

    @Test("F13 elements and rows that straddle blocks")
    func straddling() throws {
        // Records of 12 bytes do not divide a block.
        let dtype = try DType(descr: "<i4")
        let array = try connection.createArray("a", shape: [3 * Self.block / 12, 3], dtype: dtype)
        let row = Self.block / 12
        try array.setElement(row, 0, to: Int32(0x0102_0304))
        try array.setElement(row, 1, to: Int32(0x0506_0708))
        try array.setElement(row, 2, to: Int32(0x090a_0b0c))
        try connection.commit()
        let other = try temporary.database.connect()
        let expression = SliceExpression([.index(row)])
        #expect(
            try other.root.array("a").read(expression, as: Int32.self)
                == [0x0102_0304, 0x0506_0708, 0x090a_0b0c])
        for width in [Self.block - 1, Self.block + 1] {
            let array = try connection.createArray("\(width)", shape: [4, width], of: UInt8.self)
            for index in 0..<4 {
                try array.fill(SliceExpression([.index(index)]), with: UInt8(index + 1))
            }
            try connection.commit()
            for text in ["0:4", "3:4", "::-1", "1::2"] {
                let ends = try SliceExpression(parsing: text + ", ::\(width - 1)")
                let rows = try array.layout.applying(SliceExpression(parsing: text)).shape[0]
                let values = try array.read(ends, as: UInt8.self)
                #expect(values.count == 2 * rows)
                #expect(stride(from: 0, to: values.count, by: 2).allSatisfy { values[$0] == values[$0 + 1] })
            }
        }
    }

    @Test("F16 F17 F18 F19 F20 indices out of range, too many, and steps of 0 are errors")
    func badIndices() throws {
        let array = try connection.createArray("a", shape: [10, 2], of: Int32.self)
        for text in ["10", "-11", "-12", "0, 2", "0, -3", "0, 0, 0", "::0"] {
            #expect(throws: ArrayError.self) { try array.slice(SliceExpression(parsing: text)) }
        }
        #expect(throws: ArrayError.self) { try array.element(10, 0, as: Int32.self) }
        #expect(throws: ArrayError.self) { try array.setElement(0, 2, to: Int32(1)) }
        #expect(try array.slice(SliceExpression(parsing: "-1")).shape == [2])
        #expect(try array.slice(SliceExpression(parsing: "-10")).shape == [2])
    }

    @Test("F24 F25 values of the wrong number or type change nothing")
    func badValues() throws {
        let array = try connection.createArray("a", shape: [10], of: Int32.self)
        let slice = try SliceExpression(parsing: "2:5")
        try array.write([Int32(1), 2, 3], to: slice)
        #expect(throws: ArrayError.self) { try array.write([Int32(9), 9], to: slice) }
        #expect(throws: ArrayError.self) { try array.write([Int64(9), 9, 9], to: slice) }
        #expect(throws: ArrayError.self) { try array.fill(slice, with: 9.0) }
        #expect(throws: ArrayError.self) { try array.element(0, as: Int64.self) }
        #expect(throws: ArrayError.self) { try array.view(as: UInt32.self) }
        #expect(throws: ArrayError.self) { try array.withUnsafeBytes(of: 0..<41) { _ in } }
        #expect(try array.read(slice, as: Int32.self) == [1, 2, 3])
        try array.setElement(3, to: Int32(7))
        try array.fill(SliceExpression(parsing: "7:"), with: Int32(4))
        #expect(try array.read(as: Int32.self) == [0, 0, 1, 7, 3, 0, 0, 4, 4, 4])
    }

    @Test("F35 F36 an array far larger than what is stored")
    func sparse() throws {
        var configuration = Database.Configuration.small
        configuration.arrayReservation = 2 << 40
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let size = 1 << 40
        let array = try connection.createArray("a", shape: [size], of: UInt8.self)
        let places = [0, 1 << 20, 1 << 39, size - 1]
        for (number, place) in places.enumerated() { try array.setElement(place, to: UInt8(number + 1)) }
        try connection.commit()
        #expect(try array.storedBlocks().blocks == 4)
        #expect(try temporary.database.information().usedBytes < 4 << 20)
        let other = try temporary.database.connect()
        let view = try other.root.array("a").view(as: UInt8.self)
        for (number, place) in places.enumerated() { #expect(view[place] == UInt8(number + 1)) }
        #expect(view[(1 << 39) + 1] == 0)
        #expect(view[3 << 37] == 0)
        // What is cut off is dropped without touching what was never written.
        try array.resize([1 << 21])
        try connection.commit()
        #expect(try array.storedBlocks().blocks == 2)
    }

    @Test("F36 an array larger than the address space says so")
    func tooLarge() throws {
        let array = try connection.createArray("a", shape: [1 << 50], of: UInt8.self)
        let error = #expect(throws: VirtMemError.self) { try array.element(0, as: UInt8.self) }
        guard case .outOfMemory = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try connection.abort()
    }

    @Test("an array that outgrows its reservation moves if nobody points into it, else it says what to do")
    func reservation() throws {
        var configuration = Database.Configuration.small
        configuration.arrayReservation = 1 << 20
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [100], of: UInt8.self)
        try array.fill(with: UInt8(1))
        try connection.commit()
        // Reservations are whole granules of the fault table.
        try array.resize([3 << 30])
        try connection.commit()
        try array.setElement(5 << 28, to: UInt8(2))
        try connection.commit()
        let view = try array.view(as: UInt8.self)
        #expect(view[5 << 28] == 2)
        try array.resize([16 << 30])
        let error = #expect(throws: VirtMemError.self) { try array.setElement((16 << 30) - 1, to: UInt8(3)) }
        #expect(error?.description.contains("arrayReservation") == true)
        #expect(view[0] == 1)
    }
}
