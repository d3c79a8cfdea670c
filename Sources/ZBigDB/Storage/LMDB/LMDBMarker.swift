internal import CLMDB

/// Finds the objects that can be reached, while others go on committing.
///
/// It works in slices, each on a snapshot of its own. A slice first looks at what was committed since
/// the one before: whatever was changed counts as reached, and so does whatever the new versions refer to.
/// So once nothing is left to look at, everything that can be reached as of ``seen`` is in ``reached``:
/// of each object that was looked at all references are known, those of then and all that came later.
struct LMDBMarker {
    /// An object that was reached and is to be looked at, from a record on.
    private struct Work {
        let oid: OID
        var from: [UInt8]
    }

    private let storage: LMDBStorage
    private let retention: Retention
    private(set) var reached = OIDSet()
    private var work: [Work] = []
    /// All transactions up to this one were looked at.
    private(set) var seen: TID

    /// - Parameter since: what changed after this counts as reached.
    init(_ storage: LMDBStorage, _ retention: Retention, since: TID) {
        self.storage = storage
        self.retention = retention
        seen = since
        mark(.root)
    }

    /// Whether nothing is left to look at, as of ``seen``.
    var isDone: Bool { work.isEmpty }

    private mutating func mark(_ oid: OID) {
        if reached.insert(oid) { work.append(Work(oid: oid, from: RecordKey.firstEntry)) }
    }

    /// Looks at what was committed since; false if the log no longer has all of it.
    mutating func catchUp(_ transaction: LMDBTransaction) throws(StorageError) -> Bool {
        let format = storage.format
        let last = TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID))
        if last == seen { return true }
        if seen.rawValue < (try unsafe transaction.counter(format.meta, FileFormat.MetaKey.logStart)) {
            return false
        }
        let log = try unsafe transaction.cursor(format.transactions)
        let records = try unsafe transaction.cursor(format.records)
        var entry = unsafe try log.seek(seen.next.rawValue.bigEndianBytes)
        while let at = unsafe entry {
            let tid = unsafe TID(rawValue: UInt64(bigEndianBytes: at.key[...]))
            guard let record = unsafe try? TransactionRecord(tid: tid, decoding: Array(at.value)) else {
                throw .corrupt(path: storage.path, what: "the log entry \(tid) cannot be read")
            }
            for key in record.changes.keys {
                mark(key.oid)
                if key.block == nil { try markNew(key, records) }
            }
            unsafe entry = try log.next()
        }
        seen = last
        return true
    }

    /// What the versions of a record since ``seen`` refer to.
    private mutating func markNew(_ key: RecordKey, _ cursor: borrowing LMDBCursor) throws(StorageError) {
        var entry = unsafe try cursor.seek(key.encoded(.largest))
        while let at = unsafe entry, let (other, tid) = unsafe RecordKey.decode(at.key), other == key,
            tid > seen
        {
            try unsafe markReferences(at.value, key.oid)
            unsafe entry = try cursor.next()
        }
    }

    /// Looks at up to `limit` records; returns how many it was.
    mutating func step(_ transaction: LMDBTransaction, limit: Int) throws(StorageError) -> Int {
        let cursor = try unsafe transaction.cursor(storage.format.records)
        var looked = 0
        while looked < limit, let next = work.popLast() {
            looked += try look(next, cursor, limit: limit - looked)
        }
        return looked
    }

    /// Looks at an object's entries and states: blocks, which come before them, refer to nothing.
    private mutating func look(_ next: Work, _ cursor: borrowing LMDBCursor, limit: Int) throws(StorageError)
        -> Int
    {
        var looked = 0
        var newer: (key: [UInt8], tid: TID)?
        let oid = next.oid.rawValue.bigEndianBytes
        var entry = unsafe try cursor.seek(oid + next.from)
        while let at = unsafe entry, unsafe at.key.starts(with: oid) {
            if looked == limit {
                // In the middle of a record's versions older ones are looked at that may go: no harm.
                unsafe work.append(Work(oid: next.oid, from: Array(at.key[8...])))
                return looked
            }
            looked += 1
            if unsafe isKept(at, &newer) { try unsafe markReferences(at.value, next.oid) }
            unsafe entry = try cursor.next()
        }
        return max(looked, 1)
    }

    /// - Parameter newer: the version before in the tree.
    private func isKept(_ entry: LMDBEntry, _ newer: inout (key: [UInt8], tid: TID)?) -> Bool {
        if retention == .everything { return true }
        let key = unsafe Array(entry.key.dropLast(8))
        let tid = unsafe TID(rawValue: ~UInt64(bigEndianBytes: entry.key.suffix(8)))
        defer { newer = (key, tid) }
        return retention.keeps(tid, newer: newer.flatMap { $0.key == key ? $0.tid : nil })
    }

    private mutating func markReferences(_ value: UnsafeRawBufferPointer, _ oid: OID) throws(StorageError) {
        guard let state = unsafe RecordValue.stateBytes(in: value) else { return }
        do throws(ByteReader.Malformed) {
            try unsafe ReferenceScanner.scan(state) { mark($0) }
        } catch {
            throw .corrupt(path: storage.path, what: "a record of \(oid) cannot be read")
        }
    }
}
