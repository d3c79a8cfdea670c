/// A transaction was used in a way its state does not allow.
public enum TransactionError: Error, CustomStringConvertible {
    /// The commit failed before; `cause` says why. Abort or begin first.
    case priorFailure(cause: any Error)
    /// The transaction was doomed and can only be aborted.
    case doomed
    /// `action` is not possible in this state of the transaction.
    case wrongState(action: String, status: Transaction.Status)
    /// In explicit mode no transaction has begun.
    case noTransaction
    /// In explicit mode a transaction is active already.
    case alreadyBegun
    /// A participant has no savepoints, or none in its present state.
    case noSavepoints(participant: String)
    /// The savepoint's transaction has ended, or went back to a point before it.
    case invalidSavepoint
    /// A piece of work must be attempted at least once.
    case noAttempts

    /// A sentence for people.
    public var description: String {
        switch self {
        case .priorFailure(let cause):
            return "the commit of this transaction failed before (\(cause)); abort it or begin a new one"
        case .doomed: return "this transaction was doomed; it can only be aborted"
        case .wrongState(let action, let status): return "cannot \(action) a transaction that is \(status)"
        case .noTransaction: return "no transaction has begun; call begin first"
        case .noSavepoints(let participant):
            return "the participant \(participant) cannot make a savepoint now; commit or abort instead"
        case .invalidSavepoint:
            return
                "the savepoint is no longer valid: its transaction has ended, or went back to a point before it"
        case .noAttempts: return "no attempt is allowed; at least one is needed"
        case .alreadyBegun: return "a transaction is active; commit or abort it before beginning another"
        }
    }
}
