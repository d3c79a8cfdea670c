import Testing
import ZBigDB

@Suite("Order of calls in a two-phase commit")
struct CommitOrderTests {
    private let log = CallLog()
    private let manager = TransactionManager()

    /// Participants b, a, c of one transaction, with a listener and an after-commit hook.
    private func join(failing phase: Phase? = nil) throws -> (Transaction, [Recorder], Listener) {
        let listener = Listener(log)
        try manager.register(listener)
        let transaction = try manager.current()
        let participants = ["b", "a", "c"].map { Recorder($0, log) }
        if let phase { participants[0].failing = [phase] }
        for participant in participants { try transaction.join(participant) }
        return (transaction, participants, listener)
    }

    private func all(_ phase: Phase) -> [String] { ["a", "b", "c"].map { "\(phase.rawValue) \($0)" } }

    private func fail(_ phase: Phase) throws -> [String] {
        let (transaction, participants, listener) = try join(failing: phase)
        transaction.afterCommit { [log] in log.calls.append("hook \($0)") }
        #expect(throws: Refusal(name: "b", phase: phase)) { try transaction.commit() }
        #expect(transaction.status == .commitFailed)
        withExtendedLifetime((participants, listener)) {}
        // The hook may have changed participants: they are aborted after it (G11).
        var calls = log.take()
        #expect(calls.suffix(3) == ["abort b", "abort a", "abort c"])
        calls.removeLast(3)
        return calls
    }

    @Test("G1 G9 a commit calls each phase for all, in the order of sort keys, before the next")
    func success() throws {
        let (transaction, participants, listener) = try join()
        transaction.afterCommit { [log, manager] succeeded in
            log.calls.append("hook \(succeeded)")
            let current = try manager.current()
            #expect(current !== transaction)
        }
        try transaction.commit()
        #expect(
            log.take()
                == ["before"] + all(.tpcBegin) + all(.commit) + all(.tpcVote) + all(.tpcFinish)
                + ["after", "hook true", "abort b", "abort a", "abort c"])
        #expect(transaction.status == .committed)
        #expect(transaction.participants.isEmpty)
        withExtendedLifetime((participants, listener)) {}
    }

    @Test("G2 a failure in tpcBegin aborts all, also those never begun, then calls tpcAbort for all")
    func failureInBegin() throws {
        #expect(
            try fail(.tpcBegin)
                == ["before", "tpcBegin a", "tpcBegin b"] + all(.abort) + all(.tpcAbort)
                + ["after", "hook false"])
    }

    @Test("G3 a failure in commit aborts all, then calls tpcAbort for all")
    func failureInCommit() throws {
        #expect(
            try fail(.commit)
                == ["before"] + all(.tpcBegin) + ["commit a", "commit b"] + all(.abort) + all(.tpcAbort)
                + ["after", "hook false"])
    }

    @Test("G4 a failure in tpcVote does not call abort for those that voted")
    func failureInVote() throws {
        #expect(
            try fail(.tpcVote)
                == ["before"] + all(.tpcBegin) + all(.commit) + ["tpcVote a", "tpcVote b"]
                + ["abort b", "abort c"] + all(.tpcAbort) + ["after", "hook false"])
    }

    @Test("G5 a failure in tpcFinish leaves those before it finished and calls tpcAbort for all")
    func failureInFinish() throws {
        #expect(
            try fail(.tpcFinish)
                == ["before"] + all(.tpcBegin) + all(.commit) + all(.tpcVote)
                + ["tpcFinish a", "tpcFinish b"] + all(.tpcAbort) + ["after", "hook false"])
    }

    @Test(
        "G6 errors of the clean-up are passed over, the first failure is thrown",
        arguments: [
            Phase.tpcBegin, .commit, .tpcVote, .tpcFinish,
        ])
    func failureInCleanUp(_ phase: Phase) throws {
        let (transaction, participants, _) = try join(failing: phase)
        for participant in participants { participant.failing.formUnion([.abort, .tpcAbort]) }
        #expect(throws: Refusal(name: "b", phase: phase)) { try transaction.commit() }
        #expect(log.take().filter { $0.hasPrefix("tpcAbort") } == all(.tpcAbort))
    }

    @Test("G7 G8 after a failed commit only an abort or a begin goes on")
    func afterFailure() throws {
        let (transaction, participants, _) = try join(failing: .commit)
        #expect(throws: Refusal.self) { try manager.commit() }
        let current = try manager.current()
        #expect(current === transaction)
        for attempt in [transaction.commit, { try transaction.join(Recorder("d")) }] {
            let error = #expect(throws: TransactionError.self) { try attempt() }
            guard case .priorFailure(let cause) = error else {
                Issue.record("\(String(describing: error)) is no prior failure")
                continue
            }
            #expect(cause as? Refusal == Refusal(name: "b", phase: .commit))
        }
        #expect(throws: TransactionError.self) { try transaction.doom() }
        participants[0].failing = []
        try manager.abort()
        #expect(transaction.status == .aborted)
        _ = log.take()
        let next = try manager.current()
        #expect(next !== transaction)
        try next.join(participants[0])
        try manager.commit()
        #expect(log.take().filter { $0.hasSuffix(" b") }.count == 4)
    }

    @Test("G7 begin after a failed commit aborts it and goes on")
    func beginAfterFailure() throws {
        let (transaction, _, _) = try join(failing: .tpcVote)
        #expect(throws: Refusal.self) { try transaction.commit() }
        let next = try manager.begin()
        #expect(transaction.status == .aborted)
        #expect(next.status == .active)
    }

    @Test("joining twice is joining once")
    func joinTwice() throws {
        let transaction = try manager.current()
        let participant = Recorder("a", log)
        try transaction.join(participant)
        try transaction.join(participant)
        try transaction.commit()
        #expect(log.take() == ["tpcBegin a", "commit a", "tpcVote a", "tpcFinish a"])
    }
}
