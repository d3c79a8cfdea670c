import Foundation
import Synchronization
import Testing

@testable import ZBigDB

/// Where an observation ends, and what it leaves out.
@Suite("The ends of an observation", .timeLimit(.minutes(15)))
struct ObservationEndTests {
    @Test("it ends with its task, and nobody looks for commits any more", arguments: [false, true])
    func cancellation(atOnce: Bool) async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let changes = database.changes()
        let observers = (0..<5).map { _ in
            Task {
                var count = 0
                for try await _ in changes { count += 1 }
                return count
            }
        }
        if !atOnce { while !database.watch.isPolling { await Task.yield() } }
        for observer in observers { observer.cancel() }
        for observer in observers { #expect(try await observer.value == 0) }
        while database.watch.isPolling { try await Task.sleep(for: .milliseconds(10)) }
        #expect(!database.watch.isWaitedFor)
        // The sequence itself is still good.
        let connection = try database.connect()
        try connection.root.set("a", Note("a"))
        let tid = try #require(try connection.commit())
        #expect(try await take(through: tid, changes).map(\.tid) == [tid])
    }

    @Test("it ends when the database is closed, which can be opened again right away")
    func close() async throws {
        let folder = try TemporaryFolder()
        for round in 0..<40 {
            let database = try Database(folder.file(), create: true, configuration: .small)
            let observers = (0..<3).map { _ in
                Task {
                    var notes: [String] = []
                    for try await change in database.changes(after: .zero) { notes.append(change.note) }
                    return notes
                }
            }
            if round % 2 == 0 { while !database.watch.isPolling { await Task.yield() } }
            if round % 10 == 0 { try await Task.sleep(for: .milliseconds(120)) }
            try database.close()
            for observer in observers { #expect(try await observer.value.count <= 1) }
            await #expect(throws: DatabaseError.self) {
                var changes = database.changes().makeAsyncIterator()
                _ = try await changes.next()
            }
        }
    }

    @Test("who falls back behind the log hears of it, and can begin anew")
    func forgotten() async throws {
        var configuration = Database.Configuration.small
        configuration.logLimit = 5
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        let connection = try database.connect()
        let start = try connection.tid
        var changes = database.changes().makeAsyncIterator()
        var last: TID?
        for round in 0..<20 {
            try connection.root.set("a", Note("\(round)"))
            last = try connection.commit()
        }
        let error = await #expect(throws: ChangesForgotten.self) { try await changes.next() }
        #expect(error == ChangesForgotten(path: database.path, after: start))
        #expect(error?.description.contains(database.path) == true)
        #expect(try await changes.next() == nil)
        let known = try logged(database, after: .zero)
        #expect(known.count <= 6 && known.last == last)
        #expect(
            try await take(through: #require(last), database.changes(after: known[0])).map(\.tid)
                == Array(known.dropFirst()))
    }

    @Test("moving blocks is no change")
    func compaction() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let model = try ObservedModel(database)
        for block in 0..<6 {
            for page in [0, 3, 7] {
                try model.array.setElement(
                    block * ObservedModel.perBlock + page * 512, to: Int64(block + page + 1))
                try model.connection.commit()
            }
        }
        let (all, one) = (
            database.changes(), database.changes(of: model.array, after: try model.connection.tid)
        )
        #expect(try database.compact().movedBlocks > 0)
        #expect(try database.transactions(limit: 1).first?.moves.isEmpty == false)
        try model.connection.begin()
        try model.array.setElement(0, to: Int64(99))
        let tid = try #require(try model.connection.commit())
        for changes in [all, one] { #expect(try await take(through: tid, changes).map(\.tid) == [tid]) }
    }

    @Test("a slow observer takes no memory: few entries of the log are read at once")
    func bounded() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let connection = try database.connect()
        let start = try connection.tid
        for round in 0..<(3 * ChangeWatch.mostAtOnce) {
            try connection.root.set("a", Note("\(round)"))
            try connection.commit()
        }
        let batch = try #require(try await database.watch.changes(after: start, .all))
        #expect(batch.changes.count == ChangeWatch.mostAtOnce)
        let last = try connection.tid
        #expect(
            try await take(through: last, database.changes(after: start)).map(\.tid)
                == logged(database, after: start))
        // Large entries come in smaller numbers.
        var random = ArrayRandom("ObservationTests.bounded")
        let map = PersistentMap<String, Int>()
        try connection.root.set("map", map)
        let before = try #require(try connection.commit())
        for round in 0..<6 {
            for _ in 0..<3000 {
                let key = (0..<12).map { _ in String(random.next(), radix: 16) }.joined()
                try map.updateValue(round, forKey: key)
            }
            try connection.commit()
        }
        let large = try #require(try await database.watch.changes(after: before, .all))
        #expect(large.changes.count < 6)
        let found = try await take(through: connection.tid, database.changes(of: map, after: before))
        #expect(found.map { $0.objects.values.first?.changedEntries } == Array(repeating: 3000, count: 6))
    }

    @Test("what cannot be observed is an error")
    func notAdded() async throws {
        let temporary = try TemporaryDatabase()
        let array = try BigArray(shape: [3], dtype: .uint8)
        let map = PersistentMap<String, Int>()
        let sequences = [
            temporary.database.changes(of: Note("in no database")), temporary.database.changes(of: array),
            temporary.database.changes(of: array, elements: 0..<2),
            temporary.database.changes(of: map, keys: "a"..."b"),
        ]
        for changes in sequences {
            var iterator = changes.makeAsyncIterator()
            await #expect(throws: DatabaseError.self) { try await iterator.next() }
            #expect(try await iterator.next() == nil)
        }
    }
}
