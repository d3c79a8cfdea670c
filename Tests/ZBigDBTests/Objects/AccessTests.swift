import Foundation
import Synchronization
import Testing

@testable import ZBigDB

@Suite("Access by closures, and connections that move")
struct AccessTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws {
        var configuration = Database.Configuration.small
        configuration.pooledConnections = 2
        temporary = try TemporaryDatabase(configuration)
        try database.write(note: "setup") { connection in
            try connection.root.set("ann", Party("Ann"))
            _ = try connection.createArray("array", shape: [100_000], of: UInt8.self)
        }
    }

    @Test("write commits, read sees it, values come out")
    func values() throws {
        let length = try database.write(note: "longer") { connection in
            let ann = try #require(try connection.root.object("ann", as: Party.self))
            ann.name += "a"
            return ann.name.count
        }
        #expect(length == 4)
        #expect(try database.read { try $0.root.object("ann", as: Party.self)?.name } == "Anna")
        #expect(try database.transactions(limit: 1).first?.note == "longer")
        let error = #expect(throws: DatabaseError.self) {
            try database.read { try $0.root.object("ann", as: Party.self)?.name = "no" }
        }
        guard case .changedWhileReading = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: Refusal.self) {
            try database.write { connection in
                try connection.root.remove("ann")
                throw Refusal(name: "", phase: .commit)
            }
        }
        #expect(try database.read { try $0.root.object("ann", as: Party.self)?.name } == "Anna")
    }

    @Test("H20 a pooled connection is used again with its objects, and idle ones are limited")
    func pool() throws {
        let database = database
        let name = Mutex<[ObjectIdentifier]>([])
        for _ in 0..<3 {
            try database.read { connection in
                let ann = try #require(try connection.root.object("ann", as: Party.self))
                _ = ann.name
                name.withLock { $0.append(ObjectIdentifier(connection)) }
            }
        }
        #expect(Set(name.withLock { $0 }).count == 1)
        #expect(database.pool.idleCount == 1)
        try database.read { _ in
            try database.read { _ in
                try database.read { _ in #expect(database.pool.idleCount == 0) }
            }
        }
        #expect(database.pool.idleCount == 2)
        // Idle connections do not hinder closing, nor pin what they saw.
        try database.close()
        #expect(throws: DatabaseError.self) { try database.read { _ in } }
    }

    @Test("H20 a database whose connections are idle ends with its last user")
    func end() throws {
        let folder = try TemporaryFolder()
        do {
            let database = try Database(folder.file(), create: true)
            try database.write { try $0.root.set("ann", Party("Ann")) }
            #expect(database.pool.idleCount == 1)
        }
        // Otherwise the file would still be open in this process.
        let again = try Database(folder.file())
        #expect(try again.read { try $0.root.names() } == ["ann"])
    }

    @Test("conflicts are retried, and every increment counts")
    func retries() async throws {
        let database = database
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    for _ in 0..<15 {
                        try database.write(attempts: 1000) { connection in
                            let ann = try #require(try connection.root.object("ann", as: Party.self))
                            ann.name += "x"
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await database.read { try $0.root.object("ann", as: Party.self)?.name.count } == 3 + 45)
    }

    @Test("async work never blocks the threads that tasks share, however many wait")
    func manyTasks() async throws {
        let database = database
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await database.write { connection in
                        try connection.root.set("party \(number)", Party("\(number)"))
                    }
                    return try await database.read { connection in
                        // A reader that waits: tasks go on all the same.
                        usleep(1000)
                        return try connection.root.object("party \(number)", as: Party.self)?.name
                            == "\(number)" ? 1 : 0
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 100)
        #expect(try await database.read { try $0.root.names().count } == 102)
    }

    @Test("a cancelled task's transaction is not committed")
    func cancellation() async throws {
        let database = database
        let started = DispatchSemaphore(value: 0)
        let go = DispatchSemaphore(value: 0)
        let task = Task {
            try await database.write { connection in
                try connection.root.set("cancelled", Party("c"))
                started.signal()
                go.wait()
            }
        }
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                started.wait()
                continuation.resume()
            }
        }
        task.cancel()
        go.signal()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await !database.read { try $0.root.names().contains("cancelled") })
    }

    @Test("E41 E42 a connection used by one thread and then another: commits and aborts go with it")
    func migration() async throws {
        let database = database
        // The same pooled connection serves threads one after the other.
        for round in 1...4 {
            try await database.write { connection in
                let array = try connection.root.array("array")
                #expect(try array.element(5, as: UInt8.self) == UInt8(round - 1))
                try array.setElement(5, to: UInt8(round))
            }
            // Somebody else's abort and commit leave it alone.
            try await database.write { connection in
                try connection.root.array("array").setElement(70_000, to: UInt8(round))
            }
            await #expect(throws: Refusal.self) {
                try await database.write { connection in
                    try connection.root.array("array").setElement(5, to: UInt8(99))
                    throw Refusal(name: "", phase: .abort)
                }
            }
            #expect(
                try await database.read { try $0.root.array("array").element(70_000, as: UInt8.self) }
                    == UInt8(round))
        }
        // An idle connection sees what was committed meanwhile.
        let connection = try database.connect()
        try connection.root.array("array").setElement(5, to: UInt8(50))
        try connection.commit()
        #expect(try await database.read { try $0.root.array("array").element(5, as: UInt8.self) } == 50)
    }

    @Test("E41 a connection with all its objects moves to another task, as the compiler allows")
    func sending() async throws {
        let connection = try database.connect()
        let ann = try #require(try connection.root.object("ann", as: Party.self))
        ann.name = "moved"
        let task = Task {
            try connection.commit()
            ann.name += "!"
            try connection.commit()
            try connection.close()
        }
        try await task.value
        #expect(try await database.read { try $0.root.object("ann", as: Party.self)?.name } == "moved!")
    }

    @Test("H37 several databases change in one transaction, or none; references do not cross")
    func severalDatabases() throws {
        let other = try TemporaryDatabase()
        let manager = TransactionManager()
        let one = try database.connect(transactionManager: manager)
        let two = try other.database.connect(transactionManager: manager)
        try one.root.set("here", Party("here"))
        try two.root.set("there", Party("there"))
        try manager.commit()
        #expect(try database.read { try $0.root.names().contains("here") })
        #expect(try other.database.read { try $0.root.names() } == ["there"])
        // Both or none.
        let here = try #require(try one.root.object("here", as: Party.self))
        let there = try #require(try two.root.object("there", as: Party.self))
        here.name = "changed"
        there.name = "changed"
        try other.database.write { try $0.root.object("there", as: Party.self)?.name = "faster" }
        #expect(throws: ConflictError.self) { try manager.commit() }
        try manager.abort()
        #expect(here.name == "here" && there.name == "faster")
        // A reference into the other database, or one object in two, is refused when it would be stored.
        here.friends = [there]
        let error = #expect(throws: DatabaseError.self) { try manager.commit() }
        guard case .foreignObject(_, other.path) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect("\(try #require(error))".contains("from one database in another"))
        try manager.abort()
        let new = Party("new")
        try one.root.set("new", new)
        #expect(throws: DatabaseError.self) { try two.root.set("new", new) }
        try manager.abort()
        #expect(here.friends.isEmpty)
    }
}
