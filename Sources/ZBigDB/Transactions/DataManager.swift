/// A participant of a transaction: a database connection, or anything else
/// that must change with it or not at all.
///
/// At commit the transaction manager calls, for all participants in the order
/// of their ``sortKey``, first every ``tpcBegin(_:)``, then every
/// ``commit(_:)``, then every ``tpcVote(_:)``, then every ``tpcFinish(_:)``.
/// The first error before the finish turns the commit into an abort:
/// ``abort(_:)`` for those that have not voted, then ``tpcAbort(_:)`` for all.
public protocol DataManager: AnyObject {
    /// Orders the participants, the same way in every transaction, so that two
    /// transactions never wait for each other.
    var sortKey: String { get }

    /// Forgets the changes of a transaction that is not being committed, or
    /// whose commit failed before this participant voted.
    func abort(_ transaction: Transaction) throws

    /// The commit begins. Nothing shared may be touched yet.
    func tpcBegin(_ transaction: Transaction) throws
    /// Hands over what changed.
    func commit(_ transaction: Transaction) throws
    /// Says yes by returning, or no by throwing. After a yes, ``tpcFinish(_:)``
    /// may not fail for a reason that could have been found here.
    func tpcVote(_ transaction: Transaction) throws
    /// Makes the changes permanent and visible.
    func tpcFinish(_ transaction: Transaction) throws
    /// Takes back everything since ``tpcBegin(_:)``; also called if that never came.
    func tpcAbort(_ transaction: Transaction) throws

    /// Whether the transaction may succeed if it is tried again after `error`. No, unless implemented.
    func shouldRetry(_ error: any Error) -> Bool
}

extension DataManager {
    /// No.
    public func shouldRetry(_ error: any Error) -> Bool { false }
}

/// Hears of the boundaries of transactions. Held weakly; the order is unspecified.
public protocol Synchronizer: AnyObject {
    /// A commit or an abort is about to start.
    func beforeCompletion(_ transaction: Transaction) throws
    /// A commit or an abort has ended, well or not.
    func afterCompletion(_ transaction: Transaction) throws
    /// A transaction has begun.
    func newTransaction(_ transaction: Transaction) throws
    /// A savepoint is about to be made or used: the last moment to join for changes made without a call.
    func beforeSavepoint(_ transaction: Transaction) throws
}

extension Synchronizer {
    /// Does nothing.
    public func beforeCompletion(_ transaction: Transaction) throws {}
    /// Does nothing.
    public func afterCompletion(_ transaction: Transaction) throws {}
    /// Does nothing.
    public func newTransaction(_ transaction: Transaction) throws {}
    /// Does nothing.
    public func beforeSavepoint(_ transaction: Transaction) throws {}
}
