import Testing
import ZBigDB

@Suite("Hooks and synchronizers")
struct HookTests {
    private struct Trouble: Error, Equatable { let number: Int }

    private let log = CallLog()
    private let manager = TransactionManager()

    @Test("G10 before-commit hooks run first and in order, may add hooks, and are used once")
    func beforeCommit() throws {
        let transaction = try manager.current()
        let listener = Listener(log)
        try manager.register(listener)
        _ = log.take()
        try transaction.join(Recorder("a", log))
        transaction.beforeCommit { [log] in
            log.calls.append("hook 1")
            transaction.beforeCommit { log.calls.append("hook 3") }
        }
        transaction.beforeCommit { [log] in log.calls.append("hook 2") }
        try transaction.commit()
        #expect(log.take().prefix(5) == ["hook 1", "hook 2", "hook 3", "before", "tpcBegin a"])
        try manager.commit()
        #expect(log.take() == ["before", "after"])
    }

    @Test("G10 a before-commit hook that throws stops the commit; the transaction stays active")
    func beforeCommitFails() throws {
        let transaction = try manager.current()
        try transaction.join(Recorder("a", log))
        transaction.beforeCommit { throw Trouble(number: 1) }
        transaction.beforeCommit { [log] in log.calls.append("hook 2") }
        #expect(throws: Trouble(number: 1)) { try transaction.commit() }
        #expect(transaction.status == .active)
        #expect(log.take() == [])
        try transaction.commit()
        #expect(log.take() == ["hook 2", "tpcBegin a", "commit a", "tpcVote a", "tpcFinish a"])
    }

    @Test("G11 after-commit hooks hear how it went, their errors are passed over")
    func afterCommit() throws {
        let transaction = try manager.current()
        let participant = Recorder("a", log)
        try transaction.join(participant)
        transaction.afterCommit { [log] in
            log.calls.append("hook 1 \($0)")
            throw Trouble(number: 1)
        }
        transaction.afterCommit { [log] in log.calls.append("hook 2 \($0)") }
        try transaction.commit()
        #expect(log.take().suffix(3) == ["hook 1 true", "hook 2 true", "abort a"])
    }

    @Test("G12 abort hooks run at an abort and not at a failed commit")
    func abortHooks() throws {
        let transaction = try manager.current()
        try transaction.join(Recorder("a", log, failing: .tpcVote))
        transaction.beforeAbort { [log] in log.calls.append("before abort") }
        transaction.afterAbort { [log] in log.calls.append("after abort") }
        #expect(throws: Refusal.self) { try transaction.commit() }
        #expect(!log.take().contains { $0.hasSuffix(" abort") })
        try transaction.abort()
        #expect(log.take() == ["before abort", "abort a", "after abort"])
        try manager.abort()
        #expect(log.take() == [])
    }

    @Test("G13 synchronizers hear of commits, aborts and explicit begins")
    func synchronizers() throws {
        let listener = Listener(log)
        try manager.register(listener)
        #expect(log.take() == [])
        _ = try manager.current()
        #expect(log.take() == [])
        try manager.commit()
        #expect(log.take() == ["before", "after"])
        try manager.abort()
        #expect(log.take() == ["before", "after"])
        try manager.begin()
        #expect(log.take() == ["new"])
        let late = Listener(log, name: "late")
        try manager.register(late)
        #expect(log.take() == ["new late"])
        manager.unregister(late)
        try manager.abort()
        #expect(log.take() == ["before", "after"])
    }

    @Test("G14 an error before completion stops the commit; the transaction stays active")
    func errorBeforeCommit() throws {
        let listener = Listener(log, failing: "before")
        try manager.register(listener)
        let transaction = try manager.current()
        try transaction.join(Recorder("a", log))
        #expect(throws: ListenerFailure(call: "before")) { try transaction.commit() }
        #expect(log.take() == ["before"])
        #expect(transaction.status == .active)
        let current = try manager.current()
        #expect(current === transaction)
        listener.failing = []
        try transaction.commit()
        #expect(transaction.status == .committed)
    }

    @Test("G15 an error before completion does not stop an abort and is thrown at its end")
    func errorBeforeAbort() throws {
        let listener = Listener(log, failing: "before")
        try manager.register(listener)
        let transaction = try manager.current()
        try transaction.join(Recorder("a", log))
        #expect(throws: ListenerFailure(call: "before")) { try transaction.abort() }
        #expect(log.take() == ["before", "abort a", "after"])
        #expect(transaction.status == .aborted)
    }

    @Test("G16 an error after completion is thrown; the data is committed and the ending complete")
    func errorAfterCommit() throws {
        let listener = Listener(log, failing: "after")
        try manager.register(listener)
        let transaction = try manager.current()
        try transaction.join(Recorder("a", log))
        transaction.afterCommit { [log] in log.calls.append("hook \($0)") }
        #expect(throws: ListenerFailure(call: "after")) { try transaction.commit() }
        #expect(log.take().suffix(4) == ["tpcFinish a", "after", "hook true", "abort a"])
        #expect(transaction.status == .committed)
        let current = try manager.current()
        #expect(current !== transaction)
    }

    @Test("G17 synchronizers are held weakly")
    func weakly() throws {
        do {
            let listener = Listener(log)
            try manager.register(listener)
            try manager.commit()
            #expect(log.take() == ["before", "after"])
        }
        try manager.commit()
        #expect(log.take() == [])
    }

    @Test("G19 the transaction is no longer current after completion of an abort")
    func afterAbort() throws {
        let transaction = try manager.current()
        let listener = Listener(log)
        var wasCurrent: [Bool] = []
        listener.onCall = { [manager] call, _ in
            if call == "after" { wasCurrent.append((try? manager.current()) === transaction) }
        }
        try manager.register(listener)
        try transaction.abort()
        #expect(wasCurrent == [false])
    }

    @Test("G11 what an after-commit hook changes in a database is not kept, and later commits work")
    func hookChangesDatabase() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let note = Note("first")
        try connection.root.set("note", note)
        try connection.transactionManager.current().afterCommit { _ in try note.set("by the hook") }
        try connection.commit()
        #expect(try note.text == "first")
        try note.set("second")
        #expect(try connection.commit() != nil)
        let other = try temporary.database.connect()
        #expect(try (other.root.object("note") as? Note)?.text == "second")
    }
}
