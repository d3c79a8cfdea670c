internal import CLMDB

// Taking versions and objects out, with the block records that nobody names any more.

extension LMDBStorage {
    /// Removes a version of a record; false if it is not there.
    ///
    /// Neighbouring versions that name a block record rely on it as one. So what loses one is what only this version
    /// names of the three, and what both neighbours name and it does not, as they become neighbours. Versions may go in
    /// any order, and the work end anywhere.
    @discardableResult
    func removeVersion(
        _ key: RecordKey, _ tid: TID, _ cursor: borrowing LMDBCursor, _ transaction: LMDBTransaction
    ) throws -> Bool {
        let stored = key.encoded(tid)
        guard let entry = unsafe try cursor.seek(stored), unsafe entry.key == stored else { return false }
        guard key.block != nil else {
            try cursor.delete()
            return true
        }
        let mine = try unsafe blocks(entry, of: key)
        let older = try unsafe blocks(try cursor.next(), of: key)
        _ = unsafe try cursor.seek(stored)
        let newer = try unsafe blocks(try cursor.previous(), of: key)
        _ = unsafe try cursor.seek(stored)
        try cursor.delete()
        let lost = mine.subtracting(newer.union(older)).union(newer.intersection(older).subtracting(mine))
        for id in lost { try unsafe release(id, transaction) }
        return true
    }

    /// The block records that a version names; none if it is one of another record.
    private func blocks(_ entry: LMDBEntry?, of key: RecordKey) throws -> Set<BlockID> {
        guard let entry = unsafe entry, unsafe RecordKey.decode(entry.key)?.key == key else { return [] }
        return try unsafe value(entry.value, key).recipe?.blocks ?? []
    }

    /// Removes all versions of an object's own state.
    func removeState(of oid: OID, _ cursor: borrowing LMDBCursor) throws {
        let key = RecordKey(oid)
        while let entry = unsafe try cursor.seek(key.encoded(.largest)),
            unsafe RecordKey.decode(entry.key)?.key == key
        {
            try cursor.delete()
        }
    }

    /// Removes up to `limit` versions of an object's records; returns their keys.
    func removeRecords(
        of oid: OID, limit: Int, _ cursor: borrowing LMDBCursor, _ transaction: LMDBTransaction
    ) throws -> [RecordKey] {
        var removed: [RecordKey] = []
        while removed.count < limit, let entry = unsafe try cursor.seek(oid.rawValue.bigEndianBytes),
            let (key, tid) = unsafe RecordKey.decode(entry.key), key.oid == oid
        {
            try unsafe removeVersion(key, tid, cursor, transaction)
            removed.append(key)
        }
        return removed
    }
}
