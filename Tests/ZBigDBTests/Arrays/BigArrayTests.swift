import Testing
import ZBigDB

@Suite struct BigArrayTests {
    @Test("E21 what is committed is there after reopening")
    func reopen() throws {
        let temporary = try TemporaryDatabase()
        let values = (0..<100_000).map { Double($0) * 0.5 }
        do {
            let connection = try temporary.database.connect()
            let array = try connection.createArray("a", shape: [100_000], of: Double.self)
            try array.write(values)
            try connection.commit(note: "values")
            #expect(try array.read(as: Double.self) == values)
            try connection.close()
        }
        try temporary.database.close()
        let database = try Database(temporary.path)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        #expect(array.shape == [100_000])
        #expect(try array.read(as: Double.self) == values)
    }

    @Test("E26 E27 another connection sees a commit at its boundary and not before")
    func isolation() throws {
        let temporary = try TemporaryDatabase()
        let one = try temporary.database.connect()
        let first = try one.createArray("a", shape: [100_000], of: Int64.self)
        try first.fill(with: Int64(1))
        try one.commit()
        let two = try temporary.database.connect()
        let second = try two.root.array("a").view(as: Int64.self)
        #expect(second[5] == 1)
        try first.setElement(5, to: Int64(2))
        #expect(second[5] == 1)
        try one.commit()
        #expect(second[5] == 1)
        #expect(second[99_999] == 1)
        try two.begin()
        #expect(second[5] == 2)
        try one.close()
        try two.close()
    }
}
