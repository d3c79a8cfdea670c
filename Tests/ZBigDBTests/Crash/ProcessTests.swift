import Foundation
import Testing

@testable import ZBigDB

@Suite("Several processes", .timeLimit(.minutes(15)))
struct ProcessTests {
    private static let block = Database.Configuration.small.blockSize

    /// Another process commits 9 into every second block and into the note.
    private func commitElsewhere(_ path: String) async {
        await #expect(processExitsWith: .success) { [path = path as String] in
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            let array = try connection.root.array("a")
            for block in stride(from: 0, to: 8, by: 2) { try array.setElement(block * 65536, to: UInt8(9)) }
            try connection.note("note").set("elsewhere")
            try connection.root.set("added", Note("added"))
            try connection.commit()
            try connection.close()
            try database.close()
        }
    }

    private func makeArray(_ connection: Connection) throws -> BigArray {
        let array = try connection.createArray("a", shape: [8 * Self.block], of: UInt8.self)
        try array.fill(with: UInt8(1))
        try connection.root.set("note", Note("here"))
        try connection.commit()
        return array
    }

    @Test(
        "E26 H7 a commit of another process is seen at the boundary and not before",
        arguments: LoadMode.allCases)
    func visibility(_ mode: LoadMode) async throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        let view = try array.view(as: UInt8.self)
        #expect(view[0] == 1)
        await commitElsewhere(temporary.path)
        #expect((0..<8).allSatisfy { view[$0 * Self.block] == 1 })
        #expect(try connection.note("note").text == "here")
        #expect(try connection.root.names() == ["a", "note"])
        try connection.begin()
        #expect((0..<8).map { view[$0 * Self.block] } == [9, 1, 9, 1, 9, 1, 9, 1])
        #expect(try connection.note("note").text == "elsewhere")
        #expect(try connection.root.names() == ["a", "added", "note"])
    }

    @Test("E28 E30 conflicts are found across processes, and only where there are any")
    func conflicts() async throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try makeArray(one)
        try two.begin()
        try first.setElement(4 * Self.block + 7, to: UInt8(5))
        try two.root.array("a").setElement(5 * Self.block, to: UInt8(5))
        await commitElsewhere(temporary.path)
        let error = #expect(throws: ConflictError.self) { try one.commit() }
        #expect(error?.part == "block 4")
        try two.commit()
        try one.abort()
        #expect(try first.element(4 * Self.block, as: UInt8.self) == 9)
        #expect(try first.element(5 * Self.block, as: UInt8.self) == 5)
        #expect(try temporary.database.verify().problems == [])
    }

    /// Opens or makes the database, and adds `count` names of its own.
    private func addNames(_ path: String, _ number: Int, _ count: Int) async {
        await #expect(processExitsWith: .success) {
            [path = path as String, number = number as Int, count = count as Int] in
            let database = try Database(path, create: true, configuration: .small)
            let connection = try database.connect()
            for index in 0..<count {
                try connection.root.set("\(number) \(index)", Note("\(number) \(index)"))
                try connection.commit()
            }
            try connection.close()
            try database.close()
        }
    }

    @Test("H2 processes that create and fill one database at once share it")
    func creation() async throws {
        for _ in 0..<3 {
            let folder = try TemporaryFolder()
            let path = folder.file()
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<3 { group.addTask { await addNames(path, number, 20) } }
            }
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            let names = try connection.root.names()
            #expect(names.count == 60)
            #expect(Set(try names.compactMap { try connection.note($0).oid }).count == 60)
            for name in names { #expect(try connection.note(name).text == name) }
            #expect(try database.transactions(limit: 1000).count == 61)
            #expect(try database.verify().problems == [])
        }
    }

    @Test("the map of a process follows when another lets the file grow")
    func growth() async throws {
        var configuration = Database.Configuration.small
        configuration.mapSize = 1 << 20
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try makeArray(connection)
        let view = try array.view(as: UInt8.self)
        await #expect(processExitsWith: .success) { [path = temporary.path as String] in
            let database = try Database(path)
            let connection = try database.connect()
            let array = try connection.createArray("large", shape: [64 << 20], of: UInt8.self)
            try array.withUnsafeMutableBytes { memory in
                for at in stride(from: 4095, to: memory.count, by: 4096) { memory[at] = 3 }
            }
            try connection.commit()
            try connection.close()
        }
        #expect(view[5 * Self.block] == 1)
        try connection.begin()
        #expect(try connection.root.array("large").element((64 << 20) - 1, as: UInt8.self) == 3)
        view[0] = 4
        try connection.commit()
        #expect(try temporary.database.verify().problems == [])
    }
}
