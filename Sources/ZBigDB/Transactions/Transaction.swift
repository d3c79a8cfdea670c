internal import Logging

/// One transaction: its participants, its notes, and its two-phase commit.
public final class Transaction {
    /// Where a transaction is in its life.
    public enum Status: Sendable, Equatable {
        /// Open for changes.
        case active
        /// Open for changes, but it will never commit.
        case doomed
        /// Between the start and the end of its commit.
        case committing
        /// Committed.
        case committed
        /// Its commit failed; it waits to be aborted.
        case commitFailed
        /// Aborted.
        case aborted
    }

    /// Names the transaction before it has a tid, and to other participants.
    public let id = TransactionID()
    /// Where it is in its life.
    public private(set) var status = Status.active
    /// Who makes it; goes into the log.
    public var user = ""
    /// Why; goes into the log.
    public private(set) var note = ""
    /// Further facts for the log, by name.
    public var metadata: [String: String] = [:]
    /// The tid it was committed under, set by the database that took part.
    public internal(set) var tid: TID?
    /// Who takes part, in the order of joining.
    public private(set) var participants: [any DataManager] = []

    private weak var manager: TransactionManager?
    private var failure: (any Error)?
    private var voted: Set<ObjectIdentifier> = []
    private var beforeCommitHooks: [() throws -> Void] = []
    private var afterCommitHooks: [(Bool) throws -> Void] = []
    private var beforeAbortHooks: [() throws -> Void] = []
    private var afterAbortHooks: [() throws -> Void] = []
    var savepoints: [WeakSavepoint] = []
    private var scratch: [ObjectIdentifier: (owner: AnyObject, data: Any)] = [:]

    init(_ manager: TransactionManager) { self.manager = manager }

    // MARK: Before the end

    /// Makes `participant` take part. Joining again does nothing.
    ///
    /// - Throws: ``TransactionError`` once the commit has started or failed (behaviour G20).
    public func join(_ participant: any DataManager) throws {
        switch status {
        case .active, .doomed:
            if !participants.contains(where: { $0 === participant }) { participants.append(participant) }
        case .commitFailed: throw priorFailure()
        default: throw TransactionError.wrongState(action: "join", status: status)
        }
    }

    /// Adds a line to the note; blanks around it are dropped (behaviour G28).
    public func addNote(_ text: String) {
        let line = text.trimmedOfWhitespace()
        if line.isEmpty { return }
        note = note.isEmpty ? line : note + "\n" + line
    }

    /// Makes a commit impossible; an abort ends the doom (behaviour G21).
    public func doom() throws {
        switch status {
        case .active, .doomed: status = .doomed
        default: throw TransactionError.wrongState(action: "doom", status: status)
        }
    }

    /// Runs `hook` when a commit starts, before anything else. An error stops
    /// the commit, and the transaction stays active (behaviour G10).
    public func beforeCommit(_ hook: @escaping () throws -> Void) { beforeCommitHooks.append(hook) }
    /// Runs `hook` after a commit, with whether it went well. Errors are logged,
    /// and what it changes in the participants is not kept (behaviour G11).
    public func afterCommit(_ hook: @escaping (_ succeeded: Bool) throws -> Void) {
        afterCommitHooks.append(hook)
    }
    /// Runs `hook` when an abort starts.
    public func beforeAbort(_ hook: @escaping () throws -> Void) { beforeAbortHooks.append(hook) }
    /// Runs `hook` after an abort.
    public func afterAbort(_ hook: @escaping () throws -> Void) { afterAbortHooks.append(hook) }

    // MARK: Commit

    /// Commits: all participants or none.
    ///
    /// - Throws: ``ConflictError`` or whatever else a participant found; then
    ///   everything is taken back, and the transaction must be aborted before the
    ///   next one. ``TransactionError`` if the state does not allow a commit.
    public func commit() throws {
        switch status {
        case .active: break
        case .doomed: throw TransactionError.doomed
        case .commitFailed: throw priorFailure()
        default: throw TransactionError.wrongState(action: "commit", status: status)
        }
        try runBeforeCommitHooks()
        try manager?.synchronize { try $0.beforeCompletion(self) }

        invalidateSavepoints(after: nil)
        status = .committing
        var problem: (any Error)?
        do {
            try twoPhaseCommit()
            status = .committed
        } catch {
            status = .commitFailed
            failure = error
            problem = error
        }
        let succeeded = problem == nil
        if succeeded { manager?.forget(self) }
        do {
            try manager?.synchronize { try $0.afterCompletion(self) }
        } catch {
            // The data is committed or gone: the rest of the ending still happens.
            problem = problem ?? error
        }
        runAfterCommitHooks(succeeded)
        if let problem { throw problem }
    }

    private func twoPhaseCommit() throws {
        let ordered = participants.sorted { $0.sortKey < $1.sortKey }
        do {
            for participant in ordered { try participant.tpcBegin(self) }
            for participant in ordered { try participant.commit(self) }
            if ordered.count == 1, let sole = ordered[0] as? any SoleParticipant {
                return try sole.tpcVoteAndFinish(self)
            }
            for participant in ordered {
                try participant.tpcVote(self)
                voted.insert(ObjectIdentifier(participant))
            }
            do {
                for participant in ordered { try participant.tpcFinish(self) }
            } catch {
                Log.transactions.critical(
                    "a participant failed to finish after its yes; the participants may disagree now: \(error)"
                )
                throw error
            }
        } catch {
            cleanUp(ordered)
            throw error
        }
    }

    /// After a failure: forget, then take back. Errors here are logged, the
    /// first failure is the one that counts (behaviours G2 to G6).
    private func cleanUp(_ ordered: [any DataManager]) {
        for participant in ordered where !voted.contains(ObjectIdentifier(participant)) {
            logged("abort") { try participant.abort(self) }
        }
        for participant in ordered {
            logged("tpcAbort") { try participant.tpcAbort(self) }
        }
    }

    // MARK: Abort

    /// Aborts: every participant forgets its changes.
    ///
    /// - Throws: the first error of a participant or synchronizer; the others
    ///   have been aborted all the same (behaviours G15, G18).
    public func abort() throws {
        switch status {
        case .active, .doomed, .commitFailed: break
        default: throw TransactionError.wrongState(action: "abort", status: status)
        }
        invalidateSavepoints(after: nil)
        var problem: (any Error)?
        func attempt(_ body: () throws -> Void) {
            do { try body() } catch { problem = problem ?? error }
        }
        for hook in beforeAbortHooks { attempt(hook) }
        attempt { try manager?.synchronize { try $0.beforeCompletion(self) } }
        for participant in participants { attempt { try participant.abort(self) } }
        status = .aborted
        manager?.forget(self)
        attempt { try manager?.synchronize { try $0.afterCompletion(self) } }
        for hook in afterAbortHooks { attempt(hook) }
        release()
        if let problem { throw problem }
    }

    // MARK: Savepoints and attempts

    /// - Throws: ``TransactionError`` unless changes are possible.
    func requireOpen(_ action: String) throws {
        switch status {
        case .active, .doomed: return
        case .commitFailed: throw priorFailure()
        default: throw TransactionError.wrongState(action: action, status: status)
        }
    }

    /// Something went wrong half-way: only an abort is possible now.
    func fail(_ error: any Error) {
        invalidateSavepoints(after: nil)
        status = .commitFailed
        failure = error
        for participant in participants { logged("abort") { try participant.abort(self) } }
    }

    func synchronizeForSavepoint() throws { try manager?.synchronize { try $0.beforeSavepoint(self) } }

    func leave(_ participant: any DataManager) { participants.removeAll { $0 === participant } }

    /// - Parameter savepoint: the one that stays valid with those before it; nil for none.
    func invalidateSavepoints(after savepoint: Savepoint?) {
        let kept =
            savepoints.firstIndex { $0.savepoint === savepoint && savepoint != nil }.map { $0 + 1 } ?? 0
        for later in savepoints[kept...] { later.savepoint?.invalidate() }
        savepoints.removeSubrange(kept...)
    }

    /// Whether trying again may help.
    func isRetryable(_ error: any Error) -> Bool {
        error is ConflictError || participants.contains { $0.shouldRetry(error) }
    }

    /// Data that `owner` keeps with the transaction until its end (behaviour G29).
    public func data(for owner: AnyObject) -> Any? { scratch[ObjectIdentifier(owner)]?.data }

    /// Keeps `data` with the transaction until its end.
    public func setData(_ data: Any, for owner: AnyObject) {
        scratch[ObjectIdentifier(owner)] = (owner, data)
    }

    // MARK: Hooks

    private func runBeforeCommitHooks() throws {
        // A hook may add hooks; each is consumed once.
        while !beforeCommitHooks.isEmpty {
            let hook = beforeCommitHooks.removeFirst()
            try hook()
        }
    }

    private func runAfterCommitHooks(_ succeeded: Bool) {
        let hooks = afterCommitHooks
        afterCommitHooks = []
        for hook in hooks { logged("an after-commit hook") { try hook(succeeded) } }
        if !hooks.isEmpty {
            for participant in participants { logged("abort after hooks") { try participant.abort(self) } }
        }
        if succeeded { release() }
    }

    private func release() {
        participants = []
        scratch = [:]
        beforeCommitHooks = []
        afterCommitHooks = []
        beforeAbortHooks = []
        afterAbortHooks = []
    }

    private func logged(_ what: String, _ body: () throws -> Void) {
        do { try body() } catch {
            Log.transactions.error("\(what) failed while ending a transaction: \(error)")
        }
    }

    private func priorFailure() -> TransactionError {
        failure.map { .priorFailure(cause: $0) } ?? .wrongState(action: "use", status: status)
    }
}

extension String {
    fileprivate func trimmedOfWhitespace() -> String {
        guard let first = firstIndex(where: { !$0.isWhitespace }),
            let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
