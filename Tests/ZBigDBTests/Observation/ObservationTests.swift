import Foundation
import Synchronization
import Testing

@testable import ZBigDB

/// What others commit while somebody observes.
@Suite("Observation", .timeLimit(.minutes(10)))
struct ObservationTests {
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

    @Test("each observer gets what it observes, and nothing else")
    func filters() async throws {
        var random = ArrayRandom("ObservationTests.filters")
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let model = try ObservedModel(database)
        let array = model.array
        let observed: [String: CommittedChanges] = [
            "note": database.changes(of: model.note), "map": database.changes(of: model.map),
            "10..<20": database.changes(of: model.map, keys: 10..<20),
            "set": database.changes(of: model.set), "c...": database.changes(of: model.set, elements: "c"...),
            "array": database.changes(of: array),
            "elements": database.changes(
                of: array, elements: (2 * ObservedModel.perBlock - 1)..<(2 * ObservedModel.perBlock + 1)),
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
                    #expect(Set(elements.joined().map { $0 / ObservedModel.perBlock }) == blocks)
                    #expect(elements.reduce(0) { $0 + $1.count } == blocks.count * ObservedModel.perBlock)
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
        let model = try ObservedModel(temporary.database)
        let changes = temporary.database.changes(of: model.array)
        try model.array.resize([7 * ObservedModel.perBlock])
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
        let model = try ObservedModel(database)
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
