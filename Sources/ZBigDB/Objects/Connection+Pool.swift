internal import VirtMem

// A connection that waits in the pool.

extension Connection {
    /// Whether the current transaction has changed something.
    var hasChanges: Bool {
        commit.isJoined || deferredFailure != nil || openFiles.values.contains(where: \.isDirty)
    }

    /// Lets go of the snapshot. No memory stays readable that it pinned.
    ///
    /// - Throws: if the connection has changes, or was closed.
    func park() throws {
        if hasChanges { throw DatabaseError.uncommittedChanges(path: path) }
        let snapshot = try self.snapshot
        for file in openFiles.values { _ = try file.invalidateAll() }
        parkedAt = snapshot.tid
        box.replace(with: nil)
        database.connectionDidClose()
        heldDatabase = nil
    }

    /// Moves to the newest snapshot; what changed meanwhile is loaded anew.
    func unpark(in database: Database) throws {
        let new = try storage.openSnapshot()
        let changes = try new.changes(since: parkedAt ?? .zero, excluding: nil)
        box.replace(with: new)
        parkedAt = nil
        heldDatabase = database
        database.connectionDidReturn()
        try refreshObjects(changes)
    }

    /// The end of a connection that waits.
    func closeParked() { endUse() }
}
