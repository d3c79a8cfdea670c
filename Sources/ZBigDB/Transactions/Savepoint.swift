/// A participant that can go back to an earlier point of a transaction.
public protocol SavepointDataManager: DataManager {
    /// The state of now, to go back to.
    func savepoint() throws -> any DataManagerSavepoint
}

/// A participant's state at a savepoint.
public protocol DataManagerSavepoint: AnyObject {
    /// Goes back to it. May be called again after further changes.
    func rollback() throws
}

/// A point of a transaction to go back to, without giving up the rest of it.
///
/// It can be used any number of times. Going back to it makes later savepoints invalid, and the end of
/// the transaction all of them (behaviour G22).
public final class Savepoint {
    private weak var transaction: Transaction?
    /// The participants of then, in the order of joining; nil for one without support.
    private let states: [(participant: any DataManager, state: (any DataManagerSavepoint)?)]
    private(set) var isValid = true

    init(_ transaction: Transaction, isOptimistic: Bool) throws {
        self.transaction = transaction
        states = try transaction.participants.map { participant in
            guard let able = participant as? any SavepointDataManager else {
                if isOptimistic { return (participant, nil) }
                throw TransactionError.noSavepoints(participant: participant.sortKey)
            }
            return (participant, try able.savepoint())
        }
    }

    /// Goes back: every participant to its state of then; those that joined later are aborted and take
    /// part no more (behaviour G23).
    ///
    /// - Throws: ``TransactionError/invalidSavepoint``; an error of a participant or
    ///   ``TransactionError/noSavepoints(participant:)``, after which the transaction can only be aborted.
    public func rollback() throws {
        guard isValid, let transaction else { throw TransactionError.invalidSavepoint }
        try transaction.rollback(to: self) {
            for (participant, state) in states {
                guard let state else { throw TransactionError.noSavepoints(participant: participant.sortKey) }
                try state.rollback()
            }
        }
    }

    func includes(_ participant: any DataManager) -> Bool {
        states.contains { $0.participant === participant }
    }

    func invalidate() { isValid = false }
}

extension Transaction {
    /// Remembers this point, to go back to it with ``Savepoint/rollback()``.
    ///
    /// - Parameter optimistic: whether participants without savepoints are accepted; going back is an error
    ///   then (behaviour G24).
    /// - Throws: ``TransactionError/noSavepoints(participant:)`` or what a participant throws; the
    ///   transaction can only be aborted then (behaviour G25).
    public func savepoint(optimistic: Bool = false) throws -> Savepoint {
        try requireOpen("make a savepoint of")
        do {
            try synchronizeForSavepoint()
            let savepoint = try Savepoint(self, isOptimistic: optimistic)
            savepoints.append(WeakSavepoint(savepoint: savepoint))
            return savepoint
        } catch {
            fail(error)
            throw error
        }
    }

    fileprivate func rollback(to savepoint: Savepoint, _ body: () throws -> Void) throws {
        try requireOpen("go back in")
        invalidateSavepoints(after: savepoint)
        do {
            try synchronizeForSavepoint()
            for participant in participants where !savepoint.includes(participant) {
                try participant.abort(self)
                leave(participant)
            }
            try body()
        } catch {
            fail(error)
            throw error
        }
    }
}

/// Savepoints are their users': a transaction only tells them when they end.
struct WeakSavepoint {
    weak var savepoint: Savepoint?
}
