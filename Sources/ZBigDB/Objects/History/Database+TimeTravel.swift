extension Database {
    /// Opens a connection that shows the database as it was at a moment of the past: objects, maps, names and
    /// arrays (behaviour H24). It never moves, and what changes something throws
    /// ``HistoryError/readOnly(path:tid:)``, at the commit if not at once.
    ///
    /// ```swift
    /// let yesterday = try database.connect(at: .date(.now - 86400))
    /// let then = try yesterday.root.array("temperature").element(0, 0, as: Double.self)
    /// ```
    ///
    /// Like every connection it pins what it shows, so close it when it is no longer needed.
    ///
    /// - Throws: ``HistoryError`` for a moment that is not kept or has not come, or if the database keeps no history;
    ///   ``DatabaseError/databaseClosed(path:)``, ``StorageError``.
    /// - Complexity: as connecting to the present.
    public func connect(at moment: Moment) throws -> sending Connection {
        try connect(TransactionManager(), at: moment)
    }

    /// Runs `body` with the database as it was at a moment of the past.
    ///
    /// - Throws: what `body` throws, and as ``connect(at:)``; ``HistoryError/readOnly(path:tid:)`` also if `body` changed
    ///   something, which is dropped.
    public func read<T: Sendable>(at moment: Moment, _ body: @Sendable (Connection) throws -> T) throws -> T {
        let connection = try connect(TransactionManager(), at: moment)
        defer { connection.endUse() }
        let result = try body(connection)
        if connection.hasChanges { try connection.requireChangeable() }
        return result
    }

    /// The same from an async context: `body` runs on a thread of its own, never on one of the threads that
    /// tasks share.
    ///
    /// - Throws: also `CancellationError`, if the task is cancelled before `body` began.
    public func read<T: Sendable>(at moment: Moment, _ body: @escaping @Sendable (Connection) throws -> T)
        async throws
        -> T
    {
        try await perform(on: readQueue) { isCancelled in
            if isCancelled() { throw CancellationError() }
            return try self.read(at: moment, body)
        }
    }
}
