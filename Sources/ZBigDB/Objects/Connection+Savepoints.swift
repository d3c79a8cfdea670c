// Savepoints of objects and maps: their states as they would be committed now.

extension Connection: SavepointDataManager {
    /// Remembers the changed objects' states (behaviour H23). Conflicts are found at the commit only.
    ///
    /// - Throws: ``TransactionError/noSavepoints(participant:)`` if array memory was changed.
    public func savepoint() throws -> any DataManagerSavepoint { try ConnectionSavepoint(self) }
}

/// A connection's changes at a point of the transaction.
private final class ConnectionSavepoint: DataManagerSavepoint {
    private unowned let connection: Connection
    private let changed: [PersistentObject]
    private let added: [PersistentObject]
    private let readings: [OID: TID?]
    private var restore: [() throws -> Void] = []

    init(_ connection: Connection) throws {
        self.connection = connection
        // Array memory: each open file will give a savepoint of its own, once blocks can be stored
        // ahead of a savepoint.
        guard !connection.openFiles.values.contains(where: \.isDirty) else {
            throw TransactionError.noSavepoints(participant: connection.sortKey)
        }
        var builder = CommitBuilder(connection: connection)
        // Serialising adds the new objects that changed ones refer to.
        var index = 0
        while index < connection.changed.count {
            let object = connection.changed[index]
            index += 1
            restore.append(try object.makeRestorer(&builder))
        }
        changed = connection.changed
        added = connection.added
        readings = connection.readings
    }

    func rollback() throws {
        for file in connection.openFiles.values { try file.discard() }
        let later = Set(connection.changed.map(ObjectIdentifier.init)).subtracting(
            changed.map(ObjectIdentifier.init))
        let laterAdded = Set(connection.added.map(ObjectIdentifier.init)).subtracting(
            added.map(ObjectIdentifier.init))
        try connection.revert(
            changed: connection.changed.filter { later.contains(ObjectIdentifier($0)) },
            added: connection.added.filter { laterAdded.contains(ObjectIdentifier($0)) })
        connection.changed = changed
        connection.added = added
        connection.readings = readings
        for body in restore { try body() }
    }
}

extension PersistentObject {
    /// Something that brings back the state of now.
    fileprivate func makeRestorer(_ builder: inout CommitBuilder) throws -> () throws -> Void {
        if let map = self as? MapObject {
            let pending = map.pending
            return { map.pending = pending }
        }
        if let root = self as? Root {
            let pending = root.changes
            return { root.changes = pending }
        }
        let record = try builder.record(of: self)
        let connection = builder.connection
        return { [unowned connection] in
            try connection.decode(record, of: self.oid ?? .root) { try self.decodeRecord(&$0) }
            self.objectStatus = .changed
        }
    }
}
