internal import CLMDB

/// What may be removed of a piece of the records.
struct SweepPage {
    /// Versions of records that stay, older ones before newer removals.
    private(set) var versions: [(key: RecordKey, tid: TID)] = []
    /// Objects nothing leads to.
    private(set) var garbage: [OID] = []
    /// Records looked at.
    private(set) var looked = 0
    /// Where to go on; nil at the end.
    private(set) var next: [UInt8]?

    /// A record's removals with nothing kept behind them, so far.
    private var removals: [(key: RecordKey, tid: TID)] = []

    /// Looks at about `limit` records from a stored key on, at all versions of each.
    init(
        _ storage: LMDBStorage, _ transaction: LMDBTransaction, _ retention: Retention, _ reached: OIDSet?,
        from start: [UInt8], limit: Int
    ) throws(StorageError) {
        let cursor = try unsafe transaction.cursor(storage.format.records)
        var entry = unsafe start.isEmpty ? try cursor.first() : try cursor.seek(start)
        var newer: (key: RecordKey, tid: TID)?
        while let at = unsafe entry {
            guard let (key, tid) = unsafe RecordKey.decode(at.key) else {
                throw .corrupt(
                    path: storage.path, what: "a record has a key of \(unsafe at.key.count) bytes")
            }
            if newer?.key != key {
                endRecord()
                newer = nil
                if looked >= limit {
                    unsafe next = at.key
                    return
                }
            }
            looked += 1
            let isGarbage = reached.map { !$0.contains(key.oid) } ?? false
            if isGarbage { garbage.append(key.oid) }
            if isGarbage || retention == .everything {
                // Nothing else of this object is of interest.
                guard key.oid.rawValue < .max else { return }
                unsafe entry = try cursor.seek((key.oid.rawValue + 1).bigEndianBytes)
                continue
            }
            unsafe look(key, tid, isRemoval: RecordValue.isRemoval(at.value), newer?.tid, retention)
            newer = (key, tid)
            unsafe entry = try cursor.next()
        }
        endRecord()
    }

    private mutating func look(
        _ key: RecordKey, _ tid: TID, isRemoval: Bool, _ newer: TID?, _ retention: Retention
    ) {
        if !retention.keeps(tid, newer: newer) {
            versions.append((key, tid))
        } else if isRemoval, tid <= retention.start {
            removals.append((key, tid))
        } else {
            removals = []
        }
    }

    /// A removal says nothing once no older version is left.
    private mutating func endRecord() {
        versions += removals.reversed()
        removals = []
    }
}
