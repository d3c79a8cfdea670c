import Dispatch
import Testing

@testable import ZBigDB

/// What happens between an observer's look at the log and its sleep must not be lost. Nobody looks for commits here: who
/// sleeps through one sleeps for ever.
@Suite("Observers that are about to sleep", .timeLimit(.minutes(15)))
struct ObservationRaceTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws {
        var configuration = Database.Configuration.small
        configuration.observationInterval = .never
        configuration.durability = .none
        temporary = try TemporaryDatabase(configuration)
    }

    /// Begins to wait for the next change; returns at some moment of the look that comes first.
    private func observe(_ round: Int) async -> Task<TID?, any Error> {
        let changes = database.changes()
        let observer = Task {
            var iterator = changes.makeAsyncIterator()
            return try await iterator.next()?.tid
        }
        for _ in 0..<(round % 40) { await Task.yield() }
        return observer
    }

    @Test("a commit at any moment of the look is delivered")
    func commits() async throws {
        let connection = try database.connect()
        for round in 0..<150 {
            let observer = await observe(round)
            try connection.root.set("name", Note("\(round)"))
            let tid = try connection.commit()
            #expect(try await observer.value == tid)
        }
    }

    @Test("a cancellation at any moment of the look ends it")
    func cancellations() async throws {
        for round in 0..<400 {
            let observer = await observe(round)
            observer.cancel()
            #expect(try await observer.value == nil)
        }
        #expect(!database.watch.isWaitedFor)
    }
}
