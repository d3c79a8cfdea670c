import Testing

@testable import ZBigDB

@Suite("Running with retries")
struct RunTests {
    private let log = CallLog()
    private let manager = TransactionManager()
    private let conflict = ConflictError(oid: .root, className: nil, part: "", base: nil, current: nil)

    /// Says whether to try again, and when it was asked.
    private final class Adviser: DataManager {
        let recorder: Recorder
        let advice: Bool
        var sortKey: String { recorder.name }
        init(_ recorder: Recorder, advice: Bool) {
            self.recorder = recorder
            self.advice = advice
        }
        func abort(_ transaction: Transaction) throws { try recorder.abort(transaction) }
        func tpcBegin(_ transaction: Transaction) throws { try recorder.tpcBegin(transaction) }
        func commit(_ transaction: Transaction) throws { try recorder.commit(transaction) }
        func tpcVote(_ transaction: Transaction) throws { try recorder.tpcVote(transaction) }
        func tpcFinish(_ transaction: Transaction) throws { try recorder.tpcFinish(transaction) }
        func tpcAbort(_ transaction: Transaction) throws { try recorder.tpcAbort(transaction) }
        func shouldRetry(_ error: any Error) -> Bool {
            recorder.log.calls.append("asked")
            return advice
        }
    }

    @Test("G30 a new transaction for each try, at most three, and only after conflicts")
    func retries() throws {
        var seen: [TransactionID] = []
        let result = try manager.run(note: "work") { transaction in
            seen.append(transaction.id)
            #expect(transaction.note == "work")
            if seen.count < 3 { throw conflict }
            return "done"
        }
        #expect(result == "done")
        #expect(Set(seen).count == 3)
        seen = []
        #expect(throws: ConflictError.self) {
            try manager.run { transaction in
                seen.append(transaction.id)
                throw conflict
            }
        }
        #expect(seen.count == 3)
        seen = []
        #expect(throws: Refusal.self) {
            try manager.run { transaction in
                seen.append(transaction.id)
                throw Refusal(name: "x", phase: .commit)
            }
        }
        #expect(seen.count == 1)
        #expect(throws: TransactionError.self) { try manager.run(attempts: 0) { _ in } }
    }

    @Test("G30 G31 participants are asked whether to try again, before the abort")
    func advice() throws {
        var count = 0
        try manager.run(attempts: 2) { transaction in
            count += 1
            try transaction.join(Adviser(Recorder("a", log), advice: true))
            if count == 1 { throw Refusal(name: "x", phase: .commit) }
        }
        #expect(count == 2)
        #expect(log.take().prefix(2) == ["asked", "abort a"])
        // A failed commit is asked about as well; the last try is not.
        #expect(throws: Refusal.self) {
            try manager.run(attempts: 2) { transaction in
                try transaction.join(Adviser(Recorder("a", log, failing: .tpcVote), advice: true))
            }
        }
        #expect(log.take().filter { $0 == "asked" }.count == 1)
        #expect(throws: Refusal.self) {
            try manager.run { transaction in
                try transaction.join(Adviser(Recorder("a", log, failing: .tpcVote), advice: false))
            }
        }
        #expect(log.take().filter { $0 == "tpcBegin a" }.count == 1)
    }

    @Test("G32 attempts stop at the first success; the last is not protected; none is refused")
    func attempts() throws {
        var count = 0
        for attempt in try manager.attempts(5) {
            try attempt.perform { _ in
                count += 1
                if count < 3 { throw conflict }
            }
        }
        #expect(count == 3)
        count = 0
        #expect(throws: ConflictError.self) {
            for attempt in try manager.attempts(2) {
                try attempt.perform { _ in
                    count += 1
                    throw conflict
                }
            }
        }
        #expect(count == 2)
        #expect(throws: TransactionError.self) { try manager.attempts(0) }
    }

    @Test("G33 a commit at the end, an abort after an error; what body ended itself stays ended")
    func ending() throws {
        try manager.run { try $0.join(Recorder("a", log)) }
        #expect(log.take().last == "tpcFinish a")
        #expect(throws: Refusal.self) {
            try manager.run { transaction in
                try transaction.join(Recorder("a", log))
                throw Refusal(name: "x", phase: .abort)
            }
        }
        #expect(log.take() == ["abort a"])
        #expect(throws: TransactionError.self) { try manager.run { try $0.doom() } }
        #expect(throws: TransactionError.self) { try manager.run { try $0.abort() } }
    }

    @Test("G29 data kept with a transaction is there until its end")
    func scratch() throws {
        let transaction = try manager.begin()
        transaction.setData([1, 2], for: log)
        #expect(transaction.data(for: log) as? [Int] == [1, 2])
        #expect(transaction.data(for: manager) == nil)
        try transaction.commit()
        #expect(transaction.data(for: log) == nil)
    }
}
