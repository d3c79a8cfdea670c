/// Committed transactions that change what is observed, of all connections and processes: each once, in
/// the order of their commits. See ``Database/changes(after:)``.
///
/// ```swift
/// for try await change in database.changes() {
///     print(change.tid, change.note, change.objects.count)
/// }
/// ```
///
/// It ends when its task is cancelled or the database is closed, and keeps the database open until then.
/// Transactions are read from the database's log when they are asked for, so an observer that is slow takes no
/// memory, and one that falls back behind the end of the log gets ``ChangesForgotten``. Each iteration begins at
/// the same transaction.
public struct CommittedChanges: AsyncSequence, Sendable {
    let watch: ChangeWatch
    let filter: Result<ChangeFilter, any Error>
    let start: Result<TID, any Error>

    /// Begins behind the transaction that the sequence was made for.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(watch: watch, filter: filter, position: start)
    }

    /// Reads the log.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        let watch: ChangeWatch
        let filter: Result<ChangeFilter, any Error>
        var position: Result<TID, any Error>
        private var ready: ArraySlice<CommittedChange> = []
        private var isAtEnd = false

        init(watch: ChangeWatch, filter: Result<ChangeFilter, any Error>, position: Result<TID, any Error>) {
            self.watch = watch
            self.filter = filter
            self.position = position
        }

        /// Waits for the next transaction; nil at the end.
        ///
        /// - Throws: ``ChangesForgotten``, ``StorageError``, and once what was wrong with what is to be
        ///   observed: ``DatabaseError/notAdded(name:)``, ``DatabaseError/databaseClosed(path:)``.
        public mutating func next() async throws -> CommittedChange? {
            if isAtEnd || Task.isCancelled { return nil }
            if let change = ready.popFirst() { return change }
            isAtEnd = true
            guard let batch = try await watch.changes(after: position.get(), filter.get()) else { return nil }
            isAtEnd = false
            position = .success(batch.position)
            ready = batch.changes[...]
            return ready.popFirst()
        }
    }
}

/// The log no longer has all transactions that an observer has not seen yet.
public struct ChangesForgotten: Error, Hashable, CustomStringConvertible {
    /// The database's file.
    public let path: String
    /// The last transaction that the observer has seen.
    public let after: TID

    /// What to do.
    public var description: String {
        "\(path): the log does not go back to transaction \(after) any more; "
            + "look at what is observed anew and begin a new sequence, or keep more with a larger logLimit"
    }
}
