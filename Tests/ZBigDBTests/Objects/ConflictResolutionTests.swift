import Testing

@testable import ZBigDB

private final class Ledger: Persistent, ConflictResolving {
    @Persisted var balance = 0
    @Persisted var owner: Party?
    @Persisted var entries: [String] = []
    override class var className: String { "test.Ledger" }
    struct Unresolvable: Error {}

    func resolveConflict(old: Ledger, committed: Ledger) throws {
        // References can be compared, and nothing else.
        if owner !== committed.owner { throw Unresolvable() }
        balance = committed.balance + balance - old.balance
        entries = committed.entries + entries.dropFirst(old.entries.count)
    }
}

@Suite("Conflict resolution")
struct ConflictResolutionTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase()
        let connection = try database.connect()
        let ledger = Ledger()
        ledger.balance = 100
        ledger.owner = Party("Ann")
        ledger.entries = ["open"]
        try connection.root.set("ledger", ledger)
        try connection.root.set("counter", PersistentCounter(5))
        try connection.commit()
        try connection.close()
    }

    private func ledger(_ connection: Connection) throws -> Ledger {
        try #require(try connection.root.object("ledger", as: Ledger.self))
    }

    @Test("H10 the class is asked with old, committed and new state; the result is stored, and loaded anew")
    func resolves() throws {
        let (one, two) = (try database.connect(), try database.connect())
        let (mine, yours) = (try ledger(one), try ledger(two))
        mine.balance += 10
        mine.entries.append("mine")
        yours.balance -= 30
        yours.entries.append("yours")
        try one.commit()
        let tid = try two.commit()
        #expect(yours.objectStatus == .ghost)
        #expect(yours.balance == 80 && yours.entries == ["open", "mine", "yours"])
        #expect(yours.storedVersion == tid)
        #expect(yours.owner?.name == "Ann")
        try one.begin()
        #expect(mine.balance == 80 && mine.entries == ["open", "mine", "yours"])
        // And again, in the other direction.
        mine.balance += 1
        yours.balance += 1
        try two.commit()
        try one.commit()
        #expect(mine.balance == 82)
    }

    @Test("H10 H11 an error in it is a plain conflict; other references cannot be brought together")
    func refuses() throws {
        let (one, two) = (try database.connect(), try database.connect())
        let (mine, yours) = (try ledger(one), try ledger(two))
        mine.owner = Party("Bob")
        yours.balance += 1
        try one.commit()
        let error = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(error?.className == "test.Ledger")
        try two.abort()
        #expect(yours.owner?.name == "Bob" && yours.balance == 100)
    }

    @Test("H10 one unresolvable conflict fails the whole transaction")
    func partly() throws {
        let (one, two) = (try database.connect(), try database.connect())
        for (connection, name) in [(one, "a"), (two, "b")] {
            let ledger = try ledger(connection)
            ledger.balance += 1
            try #require(ledger.owner).name = name
        }
        try one.commit()
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        #expect(try ledger(two).balance == 101)
    }

    @Test("H10 a transaction with other participants resolves as well")
    func twoParticipants() throws {
        let (one, two) = (try database.connect(), try database.connect())
        try ledger(one).balance += 10
        try ledger(two).balance += 5
        try one.commit()
        try two.transactionManager.current().join(Recorder("z"))
        try two.commit()
        #expect(try ledger(two).balance == 115)
    }

    @Test("a counter counts whatever many threads add at once, without a conflict")
    func counter() async throws {
        let database = database
        let (tasks, rounds) = (4, 50)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    let connection = try database.connect()
                    let counter = try #require(
                        try connection.root.object("counter", as: PersistentCounter.self))
                    for _ in 0..<rounds {
                        counter.increment(by: task + 1)
                        try connection.commit()
                    }
                    try connection.close()
                }
            }
            try await group.waitForAll()
        }
        let connection = try database.connect()
        let counter = try #require(try connection.root.object("counter", as: PersistentCounter.self))
        #expect(counter.value == 5 + rounds * (1 + 2 + 3 + 4))
    }
}
