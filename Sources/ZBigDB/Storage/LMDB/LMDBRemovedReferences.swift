internal import CLMDB

extension LMDBStorage {
    /// Notes that a transaction removed objects.
    func noteRemoval(_ tid: TID, _ transaction: LMDBTransaction) throws {
        try unsafe transaction.setCounter(format.meta, FileFormat.MetaKey.lastRemoval, tid.rawValue)
    }

    /// Refuses references to objects that were removed after the snapshot a transaction looks at: it could still see
    /// them, perhaps through objects in memory.
    ///
    /// - Throws: ``ConflictError``.
    func refuseRemoved(_ writes: RecordWrites, seen: TID?, _ transaction: LMDBTransaction) throws {
        let last = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastRemoval)
        // Mostly so: nothing was.
        if last <= seen?.rawValue ?? 0 { return }
        let own = Set(writes.filter { $0.key.subkey.isEmpty && $0.value != nil }.map(\.key.oid))
        let cursor = try unsafe transaction.cursor(format.records)
        for write in writes {
            guard case .state(let bytes) = write.value else { continue }
            for oid in try references(in: bytes, write.key) where !own.contains(oid) {
                if unsafe try newest(RecordKey(oid), cursor) != nil { continue }
                throw ConflictError(
                    oid: oid, className: nil, part: RecordKey(oid).part, base: seen, current: nil)
            }
        }
    }

    private func references(in state: [UInt8], _ key: RecordKey) throws -> [OID] {
        var found: [OID] = []
        do {
            try ReferenceScanner.scan(state) { found.append($0) }
        } catch {
            throw StorageError.corrupt(path: path, what: "\(key.oid), \(key.part) cannot be read")
        }
        return found
    }
}
