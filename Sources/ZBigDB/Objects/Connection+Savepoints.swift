// Savepoints: the states of objects, maps and lists as they would be committed now, and where the changed
// blocks of arrays are stored ahead of the commit.

extension Connection: SavepointDataManager {
    /// Remembers the changed objects' states, and stores changed array memory ahead of the commit
    /// (behaviours H23, E39). Conflicts are found at the commit only.
    ///
    /// - Throws: ``StorageError``; `VirtMemError.accessInProgress` inside a scoped access to a changed array.
    /// - Complexity: O(objects changed in this transaction), and O(array memory changed since the savepoint before).
    public func savepoint() throws -> any DataManagerSavepoint { try ConnectionSavepoint(self) }
}

/// A connection's changes at a point of the transaction.
private final class ConnectionSavepoint: DataManagerSavepoint {
    private unowned let connection: Connection
    private let changed: [PersistentObject]
    private let added: [PersistentObject]
    private let readings: [OID: TID?]
    private var restore: [() throws -> Void] = []
    private var files: [OID: ArrayBackend.Mark] = [:]

    init(_ connection: Connection) throws {
        self.connection = connection
        for (oid, file) in connection.openFiles { files[oid] = try file.savepoint() }
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
        for (oid, file) in connection.openFiles { try file.rollback(to: files[oid]) }
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
        if let list = self as? ListObject {
            let pending = list.pending
            return { list.pending = pending }
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
