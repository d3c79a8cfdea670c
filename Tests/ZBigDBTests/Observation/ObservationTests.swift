import Foundation
import Synchronization
import Testing

@testable import ZBigDB

/// What others commit while somebody observes.
@Suite("Observation", .timeLimit(.minutes(10)))
struct ObservationTests {
    /// The first changes of a sequence, up to one of `last`.
    private func take(through last: TID, _ changes: CommittedChanges) async throws -> [CommittedChange] {
        var found: [CommittedChange] = []
        for try await change in changes {
            found.append(change)
            if change.tid >= last { break }
        }
        return found
    }

    private func logged(_ database: Database, after tid: TID) throws -> [TID] {
        try database.transactions(limit: 10_000).map(\.tid).filter { $0 > tid }.reversed()
    }

    @Test("every commit of all connections is delivered once and in order, at whatever pace")
    func everyCommit() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let start = try database.connect().tid
        let commits = Counter()
        let observers = (0..<3).map { pace -> Task<[CommittedChange], any Error> in
            Task {
                var random = ArrayRandom("ObservationTests.everyCommit")
                var found: [CommittedChange] = []
                for try await change in database.changes(after: start) {
                    found.append(change)
                    if change.note == "last" { break }
                    if pace > 0, random.chance(10) {
                        let pause = Int.random(in: 0...(20 * pace), using: &random)
                        try await Task.sleep(for: .milliseconds(pause))
                    }
                }
                return found
            }
        }
        _ = try await background {
            try inThreads(4) { thread in
                let connection = try database.connect()
                for round in 0..<40 {
                    try connection.root.set("\(thread) \(round)", Note("\(round)"))
                    try connection.commit(note: "\(thread)")
                    commits.add()
                }
            }
        }
        let connection = try database.connect()
        try connection.root.set("end", Note("end"))
        try connection.commit(note: "last")
        let expected = try logged(database, after: start)
        #expect(expected.count == 161 && commits.value == 160)
        for observer in observers {
            let found = try await observer.value
            #expect(found.map(\.tid) == expected)
            for change in found {
                #expect(change.path == database.path && change.date == change.tid.date)
                #expect(try change.keys(of: .root, as: String.self).count == 1)
                #expect(change.objects.count == 2)
            }
        }
    }

    @Test("a commit of this process is delivered without looking for it")
    func atOnce() async throws {
        var configuration = Database.Configuration.small
        configuration.observationInterval = .never
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        for round in 0..<30 {
            let changes = temporary.database.changes()
            let observer = Task {
                var iterator = changes.makeAsyncIterator()
                return try await iterator.next()?.tid
            }
            while !temporary.database.watch.isWaitedFor { await Task.yield() }
            try connection.root.set("name", Note("\(round)"))
            let tid = try connection.commit()
            #expect(try await observer.value == tid)
        }
    }

    /// What is observed, and what a random transaction changes of it.
    private final class Model {
        let connection: Connection
        let note = Note("a note")
        let other = Note("another")
        let map = PersistentMap<Int, String>()
        let set = PersistentSet<String>()
        let array: BigArray
        static let perBlock = Database.Configuration.small.blockSize / 8

        init(_ database: Database) throws {
            connection = try database.connect()
            array = try connection.createArray("array", shape: [6 * Self.perBlock], of: Int64.self)
            try connection.root.set("note", note)
            try connection.root.set("other", other)
            try connection.root.set("map", map)
            try connection.root.set("set", set)
            try connection.commit()
        }

        /// Returns which of the observed things changed.
        func change(_ random: inout ArrayRandom, all: Bool) throws -> (
            Set<String>, keys: Set<Int>, blocks: Set<Int>
        ) {
            var changed: Set<String> = []
            var keys: Set<Int> = []
            var blocks: Set<Int> = []
            if all || random.chance(30) {
                try note.set("\(random.next())")
                changed.insert("note")
            }
            if all || random.chance(30) { try other.set("\(random.next())") }
            for _ in 0..<(all ? 100 : random.chance(40) ? 5 : 0) {
                let key = Int.random(in: 0..<40, using: &random)
                try map.updateValue("\(random.next())", forKey: key)
                changed.formUnion(10..<20 ~= key ? ["map", "10..<20"] : ["map"])
                keys.insert(key)
            }
            for _ in 0..<(all ? 100 : random.chance(30) ? 3 : 0) {
                let element = ["a", "b", "c", "d"].randomElement(using: &random)!
                if random.chance(50) { try set.insert(element) } else if try !set.remove(element) { continue }
                changed.formUnion(element >= "c" ? ["set", "c..."] : ["set"])
            }
            for _ in 0..<(all ? 100 : random.chance(40) ? 2 : 0) {
                let at = Int.random(in: 0..<array.count, using: &random)
                try array.setElement(at, to: Int64.random(in: 1...(.max), using: &random))
                blocks.insert(at / Self.perBlock)
            }
            if !blocks.isEmpty { changed.insert("array") }
            // Elements of block 1 and 2.
            if !blocks.isDisjoint(with: [1, 2]) { changed.insert("elements") }
            return (changed, keys, blocks)
        }
    }

    @Test("each observer gets what it observes, and nothing else")
    func filters() async throws {
        var random = ArrayRandom("ObservationTests.filters")
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let model = try Model(database)
        let array = model.array
        let observed: [String: CommittedChanges] = [
            "note": database.changes(of: model.note), "map": database.changes(of: model.map),
            "10..<20": database.changes(of: model.map, keys: 10..<20),
            "set": database.changes(of: model.set), "c...": database.changes(of: model.set, elements: "c"...),
            "array": database.changes(of: array),
            "elements": database.changes(
                of: array, elements: (2 * Model.perBlock - 1)..<(2 * Model.perBlock + 1)),
        ]
        var expected: [String: [TID]] = [:]
        var facts: [TID: (keys: Set<Int>, blocks: Set<Int>)] = [:]
        var last = TID.zero
        for round in 0...150 {
            let (changed, keys, blocks) = try model.change(&random, all: round == 150)
            if random.chance(15), round < 150 {
                try model.connection.abort()
                continue
            }
            guard let tid = try model.connection.commit() else { continue }
            for name in changed { expected[name, default: []].append(tid) }
            facts[tid] = (keys, blocks)
            last = tid
        }
        for (name, changes) in observed {
            let found = try await take(through: last, changes)
            #expect(found.map(\.tid) == expected[name], "\(name)")
            for change in found {
                let (keys, blocks) = try #require(facts[change.tid])
                switch name {
                case "map": #expect(try change.keys(of: model.map) == keys.sorted())
                case "10..<20":
                    #expect(try change.keys(of: model.map) == keys.filter { 10..<20 ~= $0 }.sorted())
                case "array":
                    #expect(change.contains(array))
                    let elements = change.elements(of: array)
                    #expect(Set(elements.joined().map { $0 / Model.perBlock }) == blocks)
                    #expect(elements.reduce(0) { $0 + $1.count } == blocks.count * Model.perBlock)
                case "elements":
                    let file = try #require(array.file.oid)
                    #expect(change.objects[file]?.blocks == blocks.intersection([1, 2]).sorted())
                case "note": #expect(change.objects.values.map(\.hasChangedState) == [true])
                default: #expect(change.objects.count == 1)
                }
            }
        }
        #expect(expected.count == observed.count)
        // Keys of another type are an error that names the map.
        let change = try #require(
            try await take(through: last, database.changes(of: model.map, after: .zero)).last)
        #expect(throws: DatabaseError.self) { try change.keys(of: model.map.object.oid!, as: String.self) }
    }

    @Test("a new shape of an array is a change of it")
    func resize() async throws {
        let temporary = try TemporaryDatabase()
        let model = try Model(temporary.database)
        let changes = temporary.database.changes(of: model.array)
        try model.array.resize([7 * Model.perBlock])
        let tid = try #require(try model.connection.commit())
        let found = try await take(through: tid, changes)
        #expect(found.map(\.tid) == [tid])
        #expect(found.first?.contains(model.array) == true)
        #expect(found.first?.elements(of: model.array) == [])
    }

    @Test("what was committed between the connection's snapshot and the observation is delivered")
    func beginsBehindSnapshot() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let model = try Model(database)
        let other = try database.connect()
        try other.note("note").set("changed meanwhile")
        let tid = try #require(try other.commit())
        let found = try await take(through: tid, database.changes(of: model.note))
        #expect(found.map(\.tid) == [tid])
        // From a given transaction on, also for an object that is no more loaded.
        #expect(
            try await take(through: tid, database.changes(after: .zero)).map(\.tid)
                == logged(database, after: .zero))
    }

    @Test("commits of another process are delivered, among those of this one")
    func otherProcess() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let start = try database.connect().tid
        let observer = Task {
            var found: [CommittedChange] = []
            for try await change in database.changes(after: start) {
                found.append(change)
                let others = found.count(where: { $0.note == "elsewhere" })
                if others == 20, found.contains(where: { $0.note == "last" }) { break }
            }
            return found
        }
        let writer = Task {
            try await background {
                let connection = try database.connect()
                for round in 0..<40 {
                    try connection.root.set("here", Note("\(round)"))
                    try connection.commit(note: round == 39 ? "last" : "here")
                    usleep(5000)
                }
            }
        }
        await #expect(processExitsWith: .success) { [path = temporary.path as String] in
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            for round in 0..<20 {
                try connection.root.set("there", Note("\(round)"))
                try connection.commit(note: "elsewhere")
                usleep(10_000)
            }
            try connection.close()
            try database.close()
        }
        try await writer.value
        let found = try await observer.value
        #expect(found.map(\.tid) == (try logged(database, after: start)))
        #expect(found.count == 60)
        // And when nothing happens here at all.
        var changes = database.changes().makeAsyncIterator()
        async let next = changes.next()
        await #expect(processExitsWith: .success) { [path = temporary.path as String] in
            let connection = try Database(path, configuration: .small).connect()
            try connection.root.set("there", Note("again"))
            try connection.commit(note: "alone")
        }
        #expect(try await next?.note == "alone")
    }

    @Test("an observer of the other database of a transaction is woken as well")
    func twoDatabases() async throws {
        let (one, two) = (try TemporaryDatabase(), try TemporaryDatabase())
        let manager = TransactionManager()
        let first = try one.database.connect(transactionManager: manager)
        let second = try two.database.connect(transactionManager: manager)
        let sequences = [one.database.changes(), two.database.changes()]
        try first.root.set("a", Note("a"))
        try second.root.set("b", Note("b"))
        let transaction = try manager.current()
        transaction.addNote("both")
        try transaction.commit()
        for changes in sequences {
            var iterator = changes.makeAsyncIterator()
            #expect(try await iterator.next()?.note == "both")
        }
    }

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
        let model = try Model(database)
        for block in 0..<6 {
            for page in [0, 3, 7] {
                try model.array.setElement(block * Model.perBlock + page * 512, to: Int64(block + page + 1))
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

/// Counts, in any thread.
private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

/// Runs `body` on a thread that tasks do not share.
private func background<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
