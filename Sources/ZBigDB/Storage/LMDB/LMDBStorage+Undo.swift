internal import CLMDB

extension LMDBStorage {
    /// Undoes transactions, as one new transaction; returns its tid, or nil if there is nothing to change.
    ///
    /// - Throws: ``UndoError``, ``HistoryError``, ``StorageError``.
    func undo(_ tids: Set<TID>, user: String, note: String, metadata: [String: String], _ rules: UndoRules)
        throws
        -> TID?
    {
        if isReadOnly { throw StorageError.readOnly(path: path) }
        let id = TransactionID()
        let tid = try unsafe writeAlone(for: id) { transaction -> TID? in
            var undo = unsafe LMDBUndo(storage: self, transaction: transaction, rules: rules)
            try undo.plan(tids)
            let writes = try undo.writes()
            if writes.isEmpty { return nil }
            let stage = Stage(
                id: id, user: user, note: note, metadata: metadata, writes: RecordWrites(writes))
            let tid = try unsafe nextTID(transaction)
            try unsafe shareRestored(writes, transaction)
            try unsafe apply(stage, tid, transaction)
            return tid
        }
        if tid != nil { noteCommit() }
        return tid
    }

    /// Transactions that can be undone, newest first: those that changed something, and before which the database
    /// is kept.
    func undoable(before: TID?, limit: Int) throws -> [TransactionRecord] {
        let snapshot = try LMDBSnapshot(self)
        guard keepsHistory else { throw HistoryError.noHistory(path: path, last: snapshot.tid) }
        let oldest = try unsafe snapshot.withRecords { _, transaction throws(StorageError) in
            try unsafe oldestKept(transaction)
        }
        var found: [TransactionRecord] = []
        var before = before
        while found.count < limit {
            let page = try snapshot.transactions(before: before, limit: 256)
            found += page.filter { $0.tid > oldest && !$0.changes.isEmpty }
            guard let last = page.last, last.tid > oldest else { break }
            before = last.tid
        }
        return Array(found.prefix(limit))
    }

    /// Notes who relies on block records that come back.
    private func shareRestored(_ writes: [RecordWrite], _ transaction: LMDBTransaction) throws {
        let cursor = try unsafe transaction.cursor(format.records)
        for write in writes {
            guard let recipe = write.value?.recipe else { continue }
            let current = unsafe try newest(write.key, cursor).flatMap {
                unsafe try value($0.value, write.key).recipe
            }
            for id in recipe.blocks.subtracting(current?.blocks ?? []) { try unsafe share(id, transaction) }
        }
    }

    func value(_ bytes: UnsafeRawBufferPointer, _ key: RecordKey) throws(StorageError) -> RecordValue {
        guard let value = unsafe try? RecordValue(decoding: Array(bytes)) else {
            throw .corrupt(path: path, what: "\(key.oid), \(key.part) cannot be read")
        }
        return value
    }
}
