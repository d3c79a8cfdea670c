import Foundation
import Synchronization
import Testing

@testable import ZBigDB

/// Copies of a database that is in use (H42).
@Suite("Copies") struct CopyTests {
    private static let elements = 16 * Database.Configuration.small.blockSize / 8

    private static func commit(_ number: Int, _ connection: Connection) throws {
        try connection.note("note").set("\(number)")
        try connection.root.array("array").fill(with: Int64(number))
        try connection.commit(note: "\(number)")
    }

    private func filled(_ path: String, _ configuration: Database.Configuration = .small) throws
        -> (Database, Connection)
    {
        let database = try Database(path, create: true, configuration: configuration)
        let connection = try database.connect()
        try connection.root.set("note", Note("0"))
        _ = try connection.createArray("array", shape: [Self.elements], of: Int64.self)
        try connection.commit()
        return (database, connection)
    }

    @Test("H42 a copy has the same transactions, objects, old versions and tags")
    func contents() throws {
        let folder = try TemporaryFolder()
        var configuration = Database.Configuration.small
        configuration.keepsHistory = true
        let (database, connection) = try filled(folder.file(), configuration)
        for number in 1...5 { try Self.commit(number, connection) }
        let tag = try database.addTag("tag", at: .transaction(try database.transactions(limit: 9)[2].tid))
        try Self.commit(6, connection)
        try database.undo(try connection.tid)
        let bytes = try database.copy(to: folder.file("copy"))

        let copy = try Database(folder.file("copy"), configuration: configuration)
        #expect(try copy.transactions(limit: 100) == database.transactions(limit: 100))
        #expect(try copy.tags() == [tag])
        #expect(try copy.information().records == database.information().records)
        #expect(try copy.information().fileBytes == bytes)
        #expect(try copy.verify().problems == [])
        let past = try copy.connect(at: .tag("tag"))
        #expect(try past.root.array("array").element(7, as: Int64.self) == 3)
        let now = try copy.connect()
        #expect(try now.note("note").text == "5")
        // The copy goes its own way.
        try Self.commit(7, now)
        #expect(
            try connection.note("note").text == "6"
                && database.transactions(limit: 1) != copy.transactions(limit: 1))
    }

    @Test(
        "H42 while others commit, with a journal or without, each copy is one of their transactions",
        arguments: [1, 3])
    func whileWriting(writers: Int) async throws {
        let folder = try TemporaryFolder()
        let (database, first) = try filled(folder.file())
        for writer in 0..<writers { try first.root.set("counter \(writer)", Note("0")) }
        try first.commit()
        let isDone = Mutex(false)
        let copies = folder.file("copy")
        let problems = try await awaitingThreads(writers + 1) { thread in
            if thread == writers {
                defer { isDone.withLock { $0 = true } }
                return try (0..<8).flatMap { try Self.problems(ofCopy: "\(copies) \($0)", database) }
            }
            let connection = try database.connect()
            var number = 0
            while !isDone.withLock({ $0 }) {
                number += 1
                try connection.note("counter \(thread)").set("\(number)")
                if thread == 0 { try connection.root.array("array").fill(with: Int64(number)) }
                try connection.commit()
            }
            try connection.close()
            return []
        }
        #expect(problems.flatMap { $0 } == [])
    }

    /// What is wrong with a copy made now.
    private static func problems(ofCopy path: String, _ database: Database) throws -> [String] {
        let before = try database.transactions(limit: 1)[0].tid
        try database.copy(to: path)
        let copy = try Database(path, configuration: .small)
        var problems = try copy.verify().problems.map { "\($0)" }
        if try copy.transactions(limit: 1)[0].tid < before { problems.append("it is old") }
        let connection = try copy.connect()
        let number = try connection.note("counter 0").text
        let wrong = try connection.root.array("array").withUnsafeBytes { bytes in
            bytes.bindMemory(to: Int64.self).count { "\($0)" != number }
        }
        if wrong > 0 { problems.append("\(wrong) elements are not of transaction \(number)") }
        try connection.close()
        try copy.close()
        return problems
    }

    @Test("H42 what is committed in the middle of a copy is not in it, and spoils nothing")
    func inTheMiddle() throws {
        let folder = try TemporaryFolder()
        let (database, connection) = try filled(folder.file())
        _ = try connection.createArray("large", shape: [3 << 20], of: Int64.self)
        let numbers = PersistentMap<Int, Int>()
        try connection.root.set("numbers", numbers)
        func commit(_ value: Int) throws {
            try connection.root.array("large").fill(with: Int64(value))
            for key in 0..<5000 { try numbers.updateValue(value, forKey: key) }
            try connection.commit(note: "\(value)")
        }
        try commit(1)
        var value = 1
        var steps = 0
        try database.copy(to: folder.file("copy")) { _ in
            steps += 1
            for _ in 0..<3 {
                value += 1
                try commit(value)
            }
        }
        #expect(steps >= 6)
        let copy = try Database(folder.file("copy"), configuration: .small)
        #expect(try copy.verify().problems == [])
        #expect(try copy.transactions(limit: 1)[0].note == "1")
        let other = try copy.connect()
        try other.root.array("large").withUnsafeBytes { bytes in
            #expect(bytes.bindMemory(to: Int64.self).allSatisfy { $0 == 1 })
        }
        let map = try #require(try other.root.object("numbers", as: PersistentMap<Int, Int>.self))
        var count = 0
        try map.forEach { _, found in if found == 1 { count += 1 } }
        #expect(count == 5000)
    }

    @Test(
        "a copy that fails or is given up leaves no file; one that is there stays; read-only opening is enough"
    )
    func refusals() throws {
        let folder = try TemporaryFolder()
        let (database, connection) = try filled(folder.file())
        try Self.commit(1, connection)
        let path = folder.file("copy")
        #expect(throws: CancellationError.self) {
            try database.copy(to: path) { _ in throw CancellationError() }
        }
        #expect(throws: StorageError.notFound(path: folder.file("no folder/copy"))) {
            try database.copy(to: folder.file("no folder/copy"))
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy {
                !$0.contains("copy")
            })
        try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: StorageError.exists(path: path)) { try database.copy(to: path) }
        #expect(throws: StorageError.exists(path: database.path)) { try database.copy(to: database.path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
        try connection.close()
        try database.close()
        var configuration = Database.Configuration.small
        configuration.isReadOnly = true
        let reading = try Database(folder.file(), configuration: configuration)
        var total = 0
        let bytes = try reading.copy(to: folder.file("second")) { total = $0.bytes }
        #expect(total == bytes && bytes > Self.elements * 8)
        #expect(try Database(folder.file("second")).verify().problems == [])
    }
}
