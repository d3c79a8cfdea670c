extension TransactionManager {
    /// Runs `body` in a transaction of its own and commits it; after a conflict, again.
    ///
    /// An error aborts the transaction. It is thrown on at once, unless it is a ``ConflictError`` or
    /// a participant says that trying again may help (behaviours G30, G31, G33).
    ///
    /// - Parameters:
    ///   - attempts: how often `body` is tried at most.
    ///   - note: goes into the log.
    ///   - body: what is done in the transaction.
    /// - Throws: the last attempt's error; ``TransactionError/noAttempts`` for less than one attempt.
    public func run<T>(attempts: Int = 3, note: String = "", _ body: (Transaction) throws -> T) throws -> T {
        guard attempts > 0 else { throw TransactionError.noAttempts }
        var left = attempts
        while true {
            left -= 1
            if let result = try attempt(note: note, isLast: left == 0, body) { return result }
        }
    }

    /// Nil if it failed and may be tried again.
    fileprivate func attempt<T>(note: String, isLast: Bool, _ body: (Transaction) throws -> T) throws -> T? {
        let transaction = try begin()
        do {
            transaction.addNote(note)
            let result = try body(transaction)
            try transaction.commit()
            return result
        } catch {
            // Asked before the abort: afterwards nobody takes part any more.
            let mayRetry = !isLast && transaction.isRetryable(error)
            switch transaction.status {
            case .active, .doomed, .commitFailed: try? transaction.abort()
            default: throw error
            }
            if mayRetry { return nil }
            throw error
        }
    }

    /// Attempts to be made one after the other, until one succeeds (behaviour G32):
    ///
    /// ```swift
    /// for attempt in try manager.attempts(3) {
    ///     try attempt.perform { transaction in account.balance += 1 }
    /// }
    /// ```
    ///
    /// - Throws: ``TransactionError/noAttempts`` for less than one.
    public func attempts(_ count: Int) throws -> Attempts {
        guard count > 0 else { throw TransactionError.noAttempts }
        return Attempts(self, count)
    }
}

/// Attempts at one piece of work. The sequence ends with the first that succeeds.
public final class Attempts: Sequence, IteratorProtocol {
    private let manager: TransactionManager
    private var left: Int
    fileprivate var isDone = false

    init(_ manager: TransactionManager, _ count: Int) {
        self.manager = manager
        left = count
    }

    /// The next attempt.
    public func next() -> Attempt? {
        if isDone || left == 0 { return nil }
        left -= 1
        return Attempt(self, manager, isLast: left == 0)
    }
}

/// One attempt.
public struct Attempt {
    private let attempts: Attempts
    private let manager: TransactionManager
    private let isLast: Bool

    fileprivate init(_ attempts: Attempts, _ manager: TransactionManager, isLast: Bool) {
        self.attempts = attempts
        self.manager = manager
        self.isLast = isLast
    }

    /// Runs `body` in a transaction and commits it.
    ///
    /// - Throws: every error, but those that another attempt may cure unless this is the last.
    public func perform(note: String = "", _ body: (Transaction) throws -> Void) throws {
        if try manager.attempt(note: note, isLast: isLast, body) != nil { attempts.isDone = true }
    }
}
