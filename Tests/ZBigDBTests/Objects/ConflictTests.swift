import Testing

@testable import ZBigDB

@Suite("Conflicts and misuse")
struct ConflictTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase()
        let connection = try database.connect()
        for name in ["a", "b"] { try connection.root.set(name, Note("1")) }
        try connection.commit()
        try connection.close()
    }

    @Test("H9 a commit of an object changed elsewhere names object, class and both versions")
    func conflict() throws {
        let (one, two) = (try database.connect(), try database.connect())
        let base = try one.tid
        try one.note("a").set("one")
        try two.note("a").set("two")
        try two.note("b").set("two")
        let current = try one.commit()
        let error = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(error?.oid == (try one.note("a").oid))
        #expect(error?.className == "test.Note")
        #expect(error?.base == base)
        #expect(error?.current == current)
        #expect(error?.part == "its state")
        // Refused until the abort, then everything is as committed, and a retry works.
        #expect(throws: TransactionError.self) { try two.commit() }
        try two.abort()
        #expect(try two.note("a").text == "one")
        #expect(try two.note("b").text == "1")
        try two.note("a").set("two again")
        try two.commit()
        try one.begin()
        #expect(try one.note("a").text == "two again")
    }

    @Test("H9 changes of different objects do not conflict")
    func noConflict() throws {
        let (one, two) = (try database.connect(), try database.connect())
        try one.note("a").set("one")
        try two.note("b").set("two")
        try one.commit()
        try two.commit()
        #expect(try two.note("a").text == "one")
        #expect(try two.note("b").text == "two")
    }

    @Test("H12 a commit fails if an object it relies on changed elsewhere")
    func readCurrent() throws {
        let (one, two) = (try database.connect(), try database.connect())
        try two.readCurrent(two.note("a"))
        try two.note("b").set("derived from a")
        try one.note("a").set("changed")
        try one.commit()
        let error = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(error?.oid == (try one.note("a").oid))
        try two.abort()
        #expect(try two.note("b").text == "1")
        // The reliance ended with the transaction.
        try two.note("b").set("again")
        try one.note("a").set("once more")
        try one.commit()
        try two.commit()
    }

    @Test("H12 relying on what one changes as well, or on what stays, is fine")
    func readCurrentAndWrite() throws {
        let (one, two) = (try database.connect(), try database.connect())
        let a = try two.note("a")
        try two.readCurrent(a)
        try two.readCurrent(two.note("b"))
        try a.set("mine")
        #expect(try two.commit() != nil)
        // Also of new objects, and of the root, whose state never changes.
        let new = Note("new")
        try two.root.set("new", new)
        try two.readCurrent(new)
        try two.commit()
        try two.readCurrent(two.root)
        try a.set("again")
        #expect(try two.commit() != nil)
        try one.readCurrent(one.note("b"))
        #expect(throws: DatabaseError.self) { try one.readCurrent(a) }
    }

    @Test("H12 a transaction that only relies on readings conflicts as well")
    func onlyReadings() throws {
        let (one, two) = (try database.connect(), try database.connect())
        try two.readCurrent(two.note("a"))
        try one.note("a").set("changed")
        try one.commit()
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        try two.readCurrent(two.note("a"))
        #expect(try two.commit() == nil)
        try one.note("a").set("the commit lock is free")
        try one.commit()
    }

    @Test("H13 calls out of order are refused, and the commit lock is given back")
    func misuse() throws {
        let storage = try database.openStorage()
        let connection = try database.connect()
        let transaction = try connection.transactionManager.current()
        #expect(throws: StorageError.self) { try connection.tpcVote(transaction) }
        func request() -> CommitRequest {
            CommitRequest(
                id: TransactionID(), user: "", note: "", metadata: [:],
                writes: [
                    RecordWrite(key: RecordKey(OID(rawValue: 900)), value: .state([0xa0]), base: nil)
                ],
                readings: [], blocks: storage.makeBlockWriter(isAhead: false))
        }
        for isSole in [true, false] {
            let finished = try storage.vote(request(), isSole: isSole)
            finished.abort()
            finished.abort()
            #expect(throws: StorageError.self) { try finished.finish() }
            // Dropped without a decision: as if aborted.
            _ = try storage.vote(request(), isSole: isSole)
        }
        let prepared = try storage.vote(request(), isSole: true)
        try prepared.finish()
        #expect(throws: StorageError.self) { try prepared.finish() }
        prepared.abort()
        #expect(try database.information().preparedTransactions == 0)
        #expect(throws: ConflictError.self) { try storage.vote(request(), isSole: true) }
        #expect(try storage.openSnapshot().tid == prepared.tid)
    }

    @Test("H15 H14 what is committed while a snapshot opens is either in it or announced to it")
    func race() async throws {
        let database = database
        let rounds = 150
        let writer = Task.detached {
            let connection = try database.connect()
            let note = try connection.note("a")
            for round in 2...rounds {
                try note.set("\(round)")
                try connection.commit()
            }
        }
        let connection = try database.connect()
        let note = try connection.note("a")
        var last = 0
        while last < rounds {
            try connection.begin()
            let seen = try #require(Int(try note.text))
            #expect(seen >= last)
            let oid = try #require(note.oid)
            let stored = try connection.snapshot.record(RecordKey(oid))
            #expect(stored?.tid == note.storedVersion)
            last = seen
            await Task.yield()
        }
        try await writer.value
    }

    @Test("H17 an unknown number is a typed error")
    func unknownNumber() throws {
        let connection = try database.connect()
        let error = #expect(throws: DatabaseError.self) { try connection.object(OID(rawValue: 12345)) }
        guard case .missingObject(_, let oid) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(oid.rawValue == 12345)
    }

    @Test("H18 H19 a connection with changes cannot be closed; a closed one cannot be used")
    func close() throws {
        let connection = try database.connect()
        let note = try connection.note("a")
        try note.set("changed")
        #expect(throws: DatabaseError.self) { try connection.close() }
        #expect(throws: DatabaseError.self) { try database.close() }
        try connection.abort()
        try connection.close()
        try connection.close()
        #expect(throws: DatabaseError.self) { try connection.root.object("b") }
        #expect(throws: DatabaseError.self) { try connection.tid }
        #expect(throws: DatabaseError.self) { try note.set("too late") }
        #expect(throws: DatabaseError.self) { try connection.root.set("c", Note("c")) }
        #expect(throws: DatabaseError.self) { try connection.add(Note("d")) }
        try database.close()
        #expect(throws: DatabaseError.self) { try database.connect() }
    }

    @Test("E40 a connection with changed array memory cannot be closed, and nobody else sees it")
    func closeWithDirtyArray() throws {
        let one = try database.connect()
        let array = try one.createArray("array", shape: [100], of: UInt8.self)
        try one.commit()
        let view = try array.view(as: UInt8.self)
        view[5] = 1
        #expect(throws: DatabaseError.self) { try one.close() }
        let two = try database.connect()
        #expect(try two.root.array("array").element(5, as: UInt8.self) == 0)
        #expect(try two.commit() == nil)
        try one.abort()
        #expect(view[5] == 0)
        try one.close()
        // Dropped without being closed: the change is gone.
        do {
            let three = try database.connect()
            try three.root.array("array").setElement(5, to: UInt8(9))
        }
        let four = try database.connect()
        #expect(try four.root.array("array").element(5, as: UInt8.self) == 0)
    }
}
