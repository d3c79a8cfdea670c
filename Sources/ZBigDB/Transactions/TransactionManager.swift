internal import Logging

/// Hands out the current transaction. Each connection has one of its own
/// unless several are opened with the same manager, which then change together
/// or not at all. It belongs to one task at a time, as its connections do.
public final class TransactionManager {
    /// In explicit mode a transaction exists only between ``begin()`` and its
    /// end; otherwise one is begun when it is first needed (behaviour G27).
    public let isExplicit: Bool

    private var currentTransaction: Transaction?
    private var synchronizers: [WeakSynchronizer] = []

    private struct WeakSynchronizer {
        weak var object: (any Synchronizer)?
    }

    /// A manager without a transaction.
    public init(explicit: Bool = false) { isExplicit = explicit }

    /// The current transaction, begun now if there is none.
    ///
    /// - Throws: ``TransactionError/noTransaction`` in explicit mode without one.
    public func current() throws -> Transaction {
        if let currentTransaction { return currentTransaction }
        if isExplicit { throw TransactionError.noTransaction }
        let transaction = Transaction(self)
        currentTransaction = transaction
        return transaction
    }

    /// Begins a transaction: connections move to the newest snapshot.
    ///
    /// One that is still active is aborted first, or is an error in explicit
    /// mode (behaviour G26).
    @discardableResult
    public func begin() throws -> Transaction {
        if let active = currentTransaction {
            if isExplicit { throw TransactionError.alreadyBegun }
            try active.abort()
        }
        let transaction = Transaction(self)
        currentTransaction = transaction
        try synchronize { try $0.newTransaction(transaction) }
        return transaction
    }

    /// Commits the current transaction. See ``Transaction/commit()``.
    public func commit() throws { try current().commit() }
    /// Aborts the current transaction. See ``Transaction/abort()``.
    public func abort() throws { try current().abort() }
    /// Dooms the current transaction. See ``Transaction/doom()``.
    public func doom() throws { try current().doom() }

    /// Makes `synchronizer` hear of transaction boundaries, until it goes away.
    /// Inside a transaction it hears of that one's beginning now (behaviour G13).
    public func register(_ synchronizer: any Synchronizer) throws {
        synchronizers.append(WeakSynchronizer(object: synchronizer))
        if let currentTransaction { try synchronizer.newTransaction(currentTransaction) }
    }

    /// Ends a registration.
    public func unregister(_ synchronizer: any Synchronizer) {
        synchronizers.removeAll { $0.object == nil || $0.object === synchronizer }
    }

    /// Calls every synchronizer, also after one failed; throws the first error.
    func synchronize(_ body: (any Synchronizer) throws -> Void) throws {
        var problem: (any Error)?
        synchronizers.removeAll { $0.object == nil }
        for synchronizer in synchronizers.compactMap(\.object) {
            do { try body(synchronizer) } catch { problem = problem ?? error }
        }
        if let problem { throw problem }
    }

    func forget(_ transaction: Transaction) {
        if currentTransaction === transaction { currentTransaction = nil }
    }
}

/// The loggers of the library, by topic. A program bootstraps swift-log as it likes.
enum Log {
    static let transactions = Logger(label: "zbigdb.transactions")
    static let storage = Logger(label: "zbigdb.storage")
}
