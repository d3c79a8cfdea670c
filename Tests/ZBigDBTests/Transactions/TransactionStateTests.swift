import Testing
import ZBigDB

@Suite("States of a transaction")
struct TransactionStateTests {
    private let log = CallLog()

    @Test("G18 a participant whose abort throws does not keep others from being aborted")
    func abortFails() throws {
        let manager = TransactionManager()
        let transaction = try manager.current()
        for name in ["c", "a", "b"] { try transaction.join(Recorder(name, log, failing: .abort)) }
        #expect(throws: Refusal(name: "c", phase: .abort)) { try transaction.abort() }
        #expect(log.take() == ["abort c", "abort a", "abort b"])
        #expect(transaction.status == .aborted)
        #expect(transaction.participants.isEmpty)
        let current = try manager.current()
        #expect(current !== transaction)
    }

    @Test(
        "G20 joining is refused while committing",
        arguments: [
            Phase.tpcBegin, .commit, .tpcVote, .tpcFinish,
        ])
    func joinWhileCommitting(_ phase: Phase) throws {
        let transaction = try TransactionManager().current()
        let participant = Recorder("a")
        var refused = 0
        participant.onPhase = { reached, transaction in
            guard reached == phase else { return }
            let error = #expect(throws: TransactionError.self) { try transaction.join(Recorder("b")) }
            if case .wrongState(_, .committing) = error { refused += 1 }
        }
        try transaction.join(participant)
        try transaction.commit()
        #expect(refused == 1)
        #expect(throws: TransactionError.self) { try transaction.join(Recorder("c")) }
    }

    @Test("G20 G21 a doomed transaction takes participants, does not commit, and ends by abort")
    func doom() throws {
        let manager = TransactionManager()
        let transaction = try manager.current()
        try manager.doom()
        try transaction.doom()
        try transaction.join(Recorder("a", log))
        for _ in 0..<2 {
            let error = #expect(throws: TransactionError.self) { try manager.commit() }
            guard case .doomed = error else {
                Issue.record("not doomed: \(String(describing: error))")
                return
            }
            #expect(transaction.status == .doomed)
        }
        #expect(log.take() == [])
        try manager.abort()
        #expect(log.take() == ["abort a"])
        let next = try manager.current()
        #expect(next.status == .active)
        try next.commit()
        #expect(throws: TransactionError.self) { try next.doom() }
        #expect(throws: TransactionError.self) { try next.commit() }
        #expect(throws: TransactionError.self) { try next.abort() }
    }

    @Test("G26 begin aborts the transaction that is active")
    func implicitAbort() throws {
        let manager = TransactionManager()
        let first = try manager.begin()
        try first.join(Recorder("a", log))
        let second = try manager.begin()
        #expect(log.take() == ["abort a"])
        #expect(first.status == .aborted)
        #expect(second.status == .active)
    }

    @Test("G26 G27 in explicit mode a transaction exists only between begin and its end")
    func explicit() throws {
        let manager = TransactionManager(explicit: true)
        func isMissing(_ body: () throws -> Void) -> Bool {
            do { try body() } catch TransactionError.noTransaction { return true } catch {}
            return false
        }
        #expect(isMissing { _ = try manager.current() })
        #expect(isMissing { try manager.commit() })
        #expect(isMissing { try manager.abort() })
        #expect(isMissing { try manager.doom() })
        let transaction = try manager.begin()
        let error = #expect(throws: TransactionError.self) { try manager.begin() }
        guard case .alreadyBegun = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(transaction.status == .active)
        try manager.commit()
        #expect(isMissing { try manager.commit() })
        try manager.begin()
        try manager.abort()
        #expect(isMissing { _ = try manager.current() })
    }

    @Test("G28 notes lose the blanks around them and are joined by newlines")
    func notes() throws {
        let transaction = try TransactionManager().current()
        transaction.addNote("  first \n")
        transaction.addNote("")
        transaction.addNote(" \t\n")
        transaction.addNote("second line\u{2003}")
        #expect(transaction.note == "first\nsecond line")
    }

    @Test("G28 G29 user, note and metadata are kept with the commit")
    func metadata() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        try connection.root.set("note", Note("text"))
        let transaction = try connection.transactionManager.current()
        transaction.user = "ada"
        transaction.addNote("why")
        transaction.metadata = ["host": "x", "": "empty name", "ünï": ""]
        let tid = try connection.commit(note: "and how")
        let record = try #require(try temporary.database.transactions(limit: 1).first)
        #expect(record.tid == tid)
        #expect(record.id == transaction.id)
        #expect(record.user == "ada")
        #expect(record.note == "why\nand how")
        #expect(record.metadata == ["host": "x", "": "empty name", "ünï": ""])
    }

    @Test("G28 a failed commit keeps nothing of its note")
    func noteOfFailure() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        try connection.root.set("note", Note("text"))
        try connection.transactionManager.current().join(Recorder("z", log, failing: .tpcVote))
        #expect(throws: Refusal.self) { try connection.commit(note: "lost") }
        try connection.abort()
        let newest = try #require(try temporary.database.transactions(limit: 1).first)
        #expect(newest.note == "initial database")
    }
}
