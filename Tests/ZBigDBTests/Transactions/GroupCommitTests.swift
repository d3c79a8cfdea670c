import Foundation
import Synchronization
import Testing

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

/// A counter that notes which threads resolve its conflicts.
private final class Tally: Persistent, ConflictResolving {
    static let threads = Mutex<[pthread_t]>([])
    @Persisted var total = 0
    override class var className: String { "test.Tally" }

    func resolveConflict(old: Tally, committed: Tally) {
        Tally.threads.withLock { $0.append(pthread_self()) }
        total = committed.total + total - old.total
    }
}

@Suite("Transactions that commit together", .timeLimit(.minutes(15)))
struct GroupCommitTests {
    private static let members = 6
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase()
        let connection = try database.connect()
        for member in 0..<Self.members { try connection.root.set("note\(member)", Note("old")) }
        try connection.root.set("shared", Note("old"))
        try connection.root.set("tally", Tally())
        _ = try connection.createArray("array", shape: [64], of: Int64.self)
        try connection.commit()
        try connection.close()
    }

    /// Has all members change something, each in a thread with a connection of its own, and lets them commit
    /// when all of them wait for it: as one group.
    private func together(
        _ change: @escaping @Sendable (Int, Connection) throws -> Void
    ) async throws -> [Result<TID?, any Error>] {
        let database = database
        let storage = try database.openStorage()
        try storage.commitLock.acquire()
        async let results = awaitingThreads(Self.members) { member in
            let connection = try database.connect()
            defer { try? connection.close() }
            try change(member, connection)
            let result = Result { try connection.commit() }
            if case .failure = result { try connection.abort() }
            return result
        }
        while storage.commitQueue.count < Self.members - 1 { try await Task.sleep(for: .milliseconds(1)) }
        storage.commitLock.release()
        return try await results
    }

    /// LMDB's own number of its last transaction.
    private func lastLMDBTransaction() throws -> Int {
        unsafe try database.openStorage().environment.read { unsafe $0.number }
    }

    @Test("H7 they are one LMDB transaction, and to everybody else one after the other")
    func group() async throws {
        let before = try lastLMDBTransaction()
        let start = try database.openStorage().openSnapshot().tid
        let tids = try await together { member, connection in
            try connection.note("note\(member)").set("by \(member)")
            try connection.transactionManager.current().addNote("member \(member)")
        }.map { try #require(try $0.get()) }
        #expect(try lastLMDBTransaction() == before + 1)
        #expect(Set(tids).count == Self.members)

        // Each has an entry of its own in the log, and is a state of its own.
        let snapshot = try database.openStorage().openSnapshot()
        let log = try #require(try snapshot.transactions(after: start, limit: 100))
        #expect(log.map(\.tid) == tids.sorted())
        for entry in log {
            let member = try #require(tids.firstIndex(of: entry.tid))
            #expect(entry.note == "member \(member)")
        }
        let connection = try database.connect()
        for member in 0..<Self.members {
            #expect(try connection.note("note\(member)").text == "by \(member)")
        }
        try connection.close()
    }

    @Test("H9 of those that change one object the first commits, the others get a conflict")
    func conflict() async throws {
        let results = try await together { member, connection in
            try connection.note(member < 4 ? "shared" : "note\(member)").set("by \(member)")
        }
        #expect(results.filter { (try? $0.get()) != nil }.count == 3)
        let shared = results.prefix(4)
        let winner = try #require(shared.firstIndex { (try? $0.get()) != nil })
        for case .failure(let error) in shared {
            #expect((error as? ConflictError)?.className == Note.className)
            #expect((error as? ConflictError)?.current == (try results[winner].get()))
        }
        let connection = try database.connect()
        #expect(try connection.note("shared").text == "by \(winner)")
        #expect(try connection.note("note5").text == "by 5")
        try connection.close()
    }

    @Test("E28 one whose blocks are written already and that fails takes nobody along")
    func refusal() async throws {
        let results = try await together { member, connection in
            if member < 3 {
                // All of them change one page.
                try connection.root.array("array").setElement(member, to: Int64(member + 1))
            } else {
                try connection.note("note\(member)").set("by \(member)")
            }
        }
        let winners = results.indices.filter { (try? results[$0].get()) != nil }
        #expect(winners.count == 4 && winners.suffix(3) == [3, 4, 5])
        let connection = try database.connect()
        let array = try connection.root.array("array")
        let elements = try (0..<3).map { try array.element($0, as: Int64.self) }
        #expect(elements == (0..<3).map { $0 == winners[0] ? Int64($0 + 1) : 0 })
        #expect(try connection.note("note4").text == "by 4")
        try connection.close()
        #expect(try database.verify().problems == [])
    }

    @Test("H10 a conflict is resolved by the thread of the transaction")
    func resolution() async throws {
        let threads = Mutex<[pthread_t]>([])
        let tids = try await together { _, connection in
            threads.withLock { $0.append(pthread_self()) }
            let tally = try connection.root.object("tally", as: Tally.self)
            tally?.total += 1
        }.map { try #require(try $0.get()) }
        #expect(Set(tids).count == Self.members)
        let connection = try database.connect()
        #expect(try connection.root.object("tally", as: Tally.self)?.total == Self.members)
        try connection.close()
        let resolving = Tally.threads.withLock { $0 }
        #expect(resolving.count >= Self.members - 1)
        let own = threads.withLock { $0 }
        for thread in resolving { #expect(own.contains(thread)) }
        // Nobody resolves for two.
        #expect(Set(resolving).count >= Self.members - 1)
    }

    @Test("H12 H4 readings are checked against the group's own changes; alone they write nothing")
    func readings() async throws {
        let results = try await together { member, connection in
            let note = try connection.note(member == 0 ? "note5" : "shared")
            if member < 3 {
                try connection.readCurrent(note)
            } else if member == 3 {
                try note.set("changed")
            } else {
                try connection.note("note\(member)").set("\(member)")
            }
        }
        // What comes before the change holds, what comes after it does not; and member 0 relies on what member 5 changes.
        for (member, result) in results.enumerated() {
            switch result {
            case .success(let tid): #expect((tid == nil) == (member < 3))
            case .failure(let error): #expect(member < 3 && error is ConflictError)
            }
        }
    }

    @Test("in a full database each of them commits or says that it is full")
    func full() async throws {
        var configuration = Database.Configuration.small
        configuration.maximumSize = 4 << 20
        let folder = try TemporaryFolder()
        let database = try Database(folder.file(), create: true, configuration: configuration)
        let acknowledged = try await awaitingThreads(Self.members) { member -> [String] in
            let connection = try database.connect()
            defer { try? connection.close() }
            var names: [String] = []
            for number in 0..<200 {
                let name = "\(member) \(number)"
                try connection.root.set(name, Note(String(repeating: name, count: 3000)))
                do {
                    try connection.commit()
                    names.append(name)
                } catch StorageError.full(_, let limit) {
                    #expect(limit == 4 << 20)
                    try connection.abort()
                    return names
                }
            }
            Issue.record("it never was full")
            return names
        }
        let connection = try database.connect()
        for name in acknowledged.joined() {
            #expect(try connection.note(name).text == String(repeating: name, count: 3000))
        }
        #expect(acknowledged.joined().count > 10)
        try connection.close()
        #expect(try database.verify().problems == [])
        try database.close()
    }
}
