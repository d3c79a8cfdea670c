import Testing

@testable import ZBigDB

/// A participant with savepoints: a list of texts.
private final class Notebook: SavepointDataManager {
    let sortKey: String
    let log: CallLog
    var lines: [String] = []
    var failsToSave = false

    init(_ name: String, _ log: CallLog) {
        sortKey = name
        self.log = log
    }

    private final class State: DataManagerSavepoint {
        let notebook: Notebook
        let lines: [String]
        init(_ notebook: Notebook) {
            self.notebook = notebook
            lines = notebook.lines
        }
        func rollback() throws {
            notebook.log.calls.append("rollback \(notebook.sortKey)")
            notebook.lines = lines
        }
    }

    func savepoint() throws -> any DataManagerSavepoint {
        if failsToSave { throw Refusal(name: sortKey, phase: .commit) }
        return State(self)
    }
    func abort(_ transaction: Transaction) throws {
        log.calls.append("abort \(sortKey)")
        lines = []
    }
    func tpcBegin(_ transaction: Transaction) throws {}
    func commit(_ transaction: Transaction) throws {}
    func tpcVote(_ transaction: Transaction) throws {}
    func tpcFinish(_ transaction: Transaction) throws {}
    func tpcAbort(_ transaction: Transaction) throws {}
}

@Suite("Savepoints")
struct SavepointTests {
    private let log = CallLog()
    private let manager = TransactionManager()

    @Test("G22 a rollback goes back, may be repeated, and ends later savepoints; the end ends all")
    func rollback() throws {
        let book = Notebook("a", log)
        let transaction = try manager.begin()
        try transaction.join(book)
        book.lines = ["1"]
        let first = try transaction.savepoint()
        book.lines += ["2"]
        let second = try transaction.savepoint()
        book.lines += ["3"]
        try second.rollback()
        #expect(book.lines == ["1", "2"])
        try first.rollback()
        #expect(book.lines == ["1"])
        book.lines += ["4"]
        try first.rollback()
        #expect(book.lines == ["1"])
        #expect(throws: TransactionError.self) { try second.rollback() }
        try transaction.commit()
        #expect(throws: TransactionError.self) { try first.rollback() }
        let next = try manager.begin()
        let last = try next.savepoint()
        try next.abort()
        #expect(throws: TransactionError.self) { try last.rollback() }
        #expect(throws: TransactionError.self) { try next.savepoint() }
    }

    @Test("G23 participants go back in the order of joining; who joined later is aborted and leaves")
    func order() throws {
        let (b, a, c) = (Notebook("b", log), Notebook("a", log), Notebook("c", log))
        let transaction = try manager.begin()
        try transaction.join(b)
        try transaction.join(a)
        let savepoint = try transaction.savepoint()
        try transaction.join(c)
        try savepoint.rollback()
        #expect(log.take() == ["abort c", "rollback b", "rollback a"])
        #expect(transaction.participants.map(\.sortKey) == ["b", "a"])
        try transaction.join(c)
        try transaction.commit()
    }

    @Test("G24 a participant without savepoints: an error, or, optimistically, an error when going back")
    func withoutSupport() throws {
        let (recorder, book) = (Recorder("r", log), Notebook("a", log))
        var transaction = try manager.begin()
        try transaction.join(book)
        try transaction.join(recorder)
        let error = #expect(throws: TransactionError.self) { try transaction.savepoint() }
        guard case .noSavepoints("r") = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(log.take() == ["abort a", "abort r"])
        #expect(transaction.status == .commitFailed)
        #expect(throws: TransactionError.self) { try transaction.commit() }
        try transaction.abort()

        transaction = try manager.begin()
        try transaction.join(recorder)
        let savepoint = try transaction.savepoint(optimistic: true)
        #expect(throws: TransactionError.self) { try savepoint.rollback() }
        #expect(transaction.status == .commitFailed)
        try transaction.abort()
        // Without going back, it is no hindrance.
        transaction = try manager.begin()
        try transaction.join(recorder)
        _ = try transaction.savepoint(optimistic: true)
        try transaction.commit()
        #expect(transaction.status == .committed)
    }

    @Test("G25 an error while making a savepoint cleans up and fails the transaction")
    func failure() throws {
        let (a, b) = (Notebook("a", log), Notebook("b", log))
        b.failsToSave = true
        let transaction = try manager.begin()
        try transaction.join(a)
        try transaction.join(b)
        #expect(throws: Refusal.self) { try transaction.savepoint() }
        #expect(log.take() == ["abort a", "abort b"])
        #expect(throws: TransactionError.self) { try transaction.commit() }
        #expect(throws: TransactionError.self) { try transaction.savepoint() }
    }

    // MARK: With a database

    private typealias Numbers = PersistentMap<Int, String>

    @Test("H23 objects, maps, the root and new objects go back to a savepoint, and the rest is committed")
    func database() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let ann = Party("Ann")
        let map = Numbers()
        try map.updateValue("one", forKey: 1)
        try connection.root.set("ann", ann)
        try connection.root.set("map", map)
        try connection.commit()

        ann.name = "before"
        try map.updateValue("two", forKey: 2)
        let early = Party("early")
        try connection.root.set("early", early)
        let savepoint = try connection.savepointOfTransaction()
        for _ in 0..<2 {
            ann.name = "after"
            ann.friends = [Party("new friend")]
            early.name = "changed"
            try map.updateValue("three", forKey: 3)
            try map.removeValue(forKey: 1)
            let late = Party("late")
            try connection.root.set("late", late)
            try connection.root.remove("early")
            try savepoint.rollback()
            #expect(ann.name == "before" && ann.friends.isEmpty)
            #expect(early.name == "early" && early.objectStatus == .changed)
            #expect(try map[1] == "one" && map[2] == "two" && map[3] == nil && map.count == 2)
            #expect(try connection.root.names() == ["ann", "early", "map"])
            #expect(late.objectStatus == .unsaved && late.oid == nil)
        }
        try connection.commit()
        let other = try temporary.database.connect()
        #expect(try other.root.object("ann", as: Party.self)?.name == "before")
        #expect(try other.root.object("early", as: Party.self)?.name == "early")
        #expect(try other.root.object("map", as: Numbers.self)?.count == 2)
        #expect(try other.root.names() == ["ann", "early", "map"])
    }

    @Test("H23 an abort takes everything back, whatever savepoints there were; conflicts come at the commit")
    func abortAndConflict() throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let ann = Party("Ann")
        try one.root.set("ann", ann)
        try one.commit()
        try two.begin()
        ann.name = "x"
        _ = try one.savepointOfTransaction()
        ann.name = "y"
        try one.abort()
        #expect(ann.name == "Ann")
        let read = try #require(try two.root.object("ann", as: Party.self))
        read.name = "two"
        let savepoint = try two.savepointOfTransaction()
        ann.name = "one"
        try one.commit()
        try savepoint.rollback()
        #expect(read.name == "two")
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        #expect(read.name == "one")
    }
}

extension Connection {
    /// A savepoint of the current transaction.
    func savepointOfTransaction() throws -> Savepoint { try transactionManager.current().savepoint() }
}
