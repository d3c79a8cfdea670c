internal import CLMDB
internal import Synchronization

// Snapshots of the past: a read transaction of now, which has the old versions, and the tid
// up to which it looks.

extension LMDBSnapshot {
    /// The database as it was at `moment`.
    ///
    /// - Throws: ``HistoryError``, ``StorageError``.
    convenience init(_ storage: LMDBStorage, at moment: Moment) throws {
        let pointer = unsafe try storage.environment.beginRead()
        let transaction = unsafe LMDBTransaction(pointer: pointer, path: storage.path)
        let tid: TID
        do {
            tid = try storage.environment.gate.shared {
                try unsafe storage.tid(of: moment, transaction)
            }
        } catch {
            unsafe transaction.abort()
            throw error
        }
        unsafe self.init(storage, pointer, tid: tid)
    }
}

extension LMDBStorage {
    func openSnapshot(at moment: Moment) throws -> any StorageSnapshot { try LMDBSnapshot(self, at: moment) }

    /// The last transaction before or at a moment whose state is kept.
    func tid(of moment: Moment, _ transaction: LMDBTransaction) throws -> TID {
        let tid = try unsafe resolve(moment, transaction)
        let logged = try unsafe newestLogged(at: tid, transaction) ?? tid
        try unsafe checkIsKept(logged, transaction)
        return logged
    }

    /// A moment as a tid, whether its state is kept or not.
    func resolve(_ moment: Moment, _ transaction: LMDBTransaction) throws -> TID {
        let last = TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID))
        var tid: TID
        switch moment {
        case .transaction(let exact):
            tid = exact
        case .before(let next):
            guard next <= last else { throw HistoryError.future(path: path, moment: next, last: last) }
            tid = TID(rawValue: max(next.rawValue, 1) - 1)
        case .date(let date):
            tid = TID(date)
            // Nothing was committed since the last transaction, so up to now it is the state.
            if tid.rawValue <= now { tid = min(tid, last) }
        case .tag(let name):
            tid = try unsafe self.tid(ofTag: name, transaction)
        }
        guard tid <= last else { throw HistoryError.future(path: path, moment: tid, last: last) }
        return tid
    }

    /// The last transaction in the log up to `tid`.
    private func newestLogged(at tid: TID, _ transaction: LMDBTransaction) throws(StorageError) -> TID? {
        let cursor = try unsafe transaction.cursor(format.transactions)
        let isThere = unsafe try cursor.seek(tid.next.rawValue.bigEndianBytes) != nil
        guard let entry = unsafe isThere ? try cursor.previous() : try cursor.last() else { return nil }
        return unsafe TID(rawValue: UInt64(bigEndianBytes: entry.key[...]))
    }

    /// Refuses a moment whose versions are not all there.
    func checkIsKept(_ tid: TID, _ transaction: LMDBTransaction) throws {
        let last = TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID))
        if tid == last { return }
        guard keepsHistory else { throw HistoryError.noHistory(path: path, last: last) }
        let oldest = try unsafe oldestKept(transaction)
        if tid >= oldest { return }
        if try unsafe tags(transaction).contains(where: { $0.tid == tid }) { return }
        throw HistoryError.notKept(path: path, moment: tid, oldest: oldest)
    }

    /// From this transaction on all states are kept, and what came behind it can be undone.
    func oldestKept(_ transaction: LMDBTransaction) throws(StorageError) -> TID {
        max(try unsafe historyStart(transaction), try unsafe firstTID(transaction))
    }

    func historyStart(_ transaction: LMDBTransaction) throws(StorageError) -> TID {
        TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.historyStart))
    }

    /// The transaction that made the root, or the oldest one it has a version of.
    private func firstTID(_ transaction: LMDBTransaction) throws(StorageError) -> TID {
        let cursor = try unsafe transaction.cursor(format.records)
        var first = TID.zero
        var entry = unsafe try cursor.seek(RecordKey(.root).encoded(.largest))
        while let at = unsafe entry, let (key, tid) = unsafe RecordKey.decode(at.key), key == RecordKey(.root)
        {
            first = tid
            unsafe entry = try cursor.next()
        }
        return first
    }
}

extension LMDBSnapshot {
    func versions(of key: RecordKey, before: TID, limit: Int) throws(StorageError) -> [StoredRecord] {
        if before == .zero { return [] }
        let newest = min(tid, TID(rawValue: before.rawValue - 1))
        return unsafe try withRecords { cursor, _ throws(StorageError) in
            var found: [StoredRecord] = []
            var entry = unsafe try cursor.seek(key.encoded(newest))
            while found.count < limit, let at = unsafe entry,
                let (other, version) = unsafe RecordKey.decode(at.key), other == key
            {
                found.append(StoredRecord(key: key, tid: version, value: try unsafe value(of: at)))
                unsafe entry = try cursor.next()
            }
            return found
        }
    }
}
