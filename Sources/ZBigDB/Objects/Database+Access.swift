internal import Dispatch
internal import Synchronization

// Transactions as closures: the connection comes from a pool and goes back to it.

extension Database {
    /// Runs `body` in a transaction and commits it; after a conflict, again.
    ///
    /// ```swift
    /// try database.write { connection in
    ///     let account = try connection.root.object("ann", as: Account.self)
    ///     account?.balance += 10
    /// }
    /// ```
    ///
    /// The connection and its objects must not leave `body`, which the compiler sees to. `body` may run several
    /// times, so it should have no effects but on the database. Called within another `read` or `write`, it is a
    /// transaction of its own.
    ///
    /// - Parameters:
    ///   - attempts: how often `body` is tried at most.
    ///   - note: goes into the log.
    ///   - body: the transaction.
    /// - Throws: what `body` throws, after an abort; ``ConflictError`` when all attempts met one;
    ///   ``StorageError``, ``DatabaseError``.
    public func write<T: Sendable>(
        attempts: Int = 3, note: String = "", _ body: @Sendable (Connection) throws -> T
    ) throws -> T {
        try write(attempts: attempts, note: note, isCancelled: { false }, body)
    }

    private func write<T>(
        attempts: Int, note: String, isCancelled: () -> Bool, _ body: (Connection) throws -> T
    ) throws -> T {
        try withPooledConnection { connection in
            try connection.transactionManager.run(attempts: attempts, note: note) { _ in
                if isCancelled() { throw CancellationError() }
                let result = try body(connection)
                if isCancelled() { throw CancellationError() }
                return result
            }
        }
    }

    /// Runs `body` on the newest snapshot. It cannot change anything.
    ///
    /// - Throws: what `body` throws; ``DatabaseError/changedWhileReading(path:)`` if it changed something, which
    ///   is dropped.
    public func read<T: Sendable>(_ body: @Sendable (Connection) throws -> T) throws -> T {
        try readPooled(body)
    }

    private func readPooled<T>(_ body: (Connection) throws -> T) throws -> T {
        try withPooledConnection { connection in
            try connection.begin()
            let result = Result { try body(connection) }
            let hasChanges = connection.hasChanges
            try connection.abort()
            if hasChanges, case .success = result { throw DatabaseError.changedWhileReading(path: path) }
            return try result.get()
        }
    }

    /// The same from an async context: `body` runs on a thread of its own, never on one of the threads that
    /// tasks share. Transactions run one after the other.
    ///
    /// - Throws: also `CancellationError`, if the task is cancelled before the commit; nothing is changed then.
    public func write<T: Sendable>(
        attempts: Int = 3, note: String = "", _ body: @escaping @Sendable (Connection) throws -> T
    ) async throws -> T {
        try await perform(on: writeQueue) { isCancelled in
            try self.write(attempts: attempts, note: note, isCancelled: isCancelled, body)
        }
    }

    /// The same from an async context: `body` runs on a thread of its own, never on one of the threads that
    /// tasks share.
    ///
    /// - Throws: also `CancellationError`, if the task is cancelled before `body` began.
    public func read<T: Sendable>(_ body: @escaping @Sendable (Connection) throws -> T) async throws -> T {
        try await perform(on: readQueue) { isCancelled in
            if isCancelled() { throw CancellationError() }
            return try self.readPooled(body)
        }
    }

    func perform<T: Sendable>(
        on queue: DispatchQueue, _ body: @escaping @Sendable (_ isCancelled: () -> Bool) throws -> T
    ) async throws -> T {
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // A block stays on its thread: LMDB binds a transaction that writes to one.
                queue.async { continuation.resume(with: Result { try body { flag.isSet } }) }
            }
        } onCancel: {
            flag.set()
        }
    }

    private func withPooledConnection<T>(_ body: (Connection) throws -> T) throws -> T {
        let connection = try pool.lease(for: self)
        defer { pool.giveBack(connection) }
        return try body(connection)
    }
}

/// Whether the task that waits was cancelled.
private final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}
