/// The object behind a ``PersistentMap`` or ``PersistentSet``: entries by encoded key, each a record of its own.
///
/// It has no state but its entries, and keeps nothing in memory but this transaction's changes.
public final class MapObject: PersistentObject {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.PersistentMap" }

    /// What this transaction makes of an entry.
    enum Change {
        /// An encoded value.
        case put([UInt8])
        /// A value of a map that is in no database yet, where references cannot be written.
        case keep(any PersistentValue)
        case remove

        var isRemoval: Bool { if case .remove = self { true } else { false } }
    }

    private var changes: [HashedBytes: Change] = [:]
    /// The changed keys in order, as long as nothing was added to them.
    private var order: [[UInt8]]?
    /// How many more entries there are because of the changes, as long as none is added.
    private var growth: Int?

    override init() { super.init() }
    override init(ghost oid: OID) { super.init(ghost: oid) }
    override class func ghost(_ oid: OID) -> PersistentObject { MapObject(ghost: oid) }

    /// The snapshot to look at; nil if nothing of this map is stored.
    private var stored: (any StorageSnapshot, OID)? {
        get throws {
            guard let oid else { return nil }
            guard let connection else { throw DatabaseError.connectionClosed(what: objectLabel) }
            return (try connection.snapshot, oid)
        }
    }

    // MARK: Reading

    /// The value of an entry; nil if there is none.
    func value(_ key: [UInt8]) throws -> Change? {
        if !changes.isEmpty, let change = changes[HashedBytes(key)] { return change.isRemoval ? nil : change }
        guard let (snapshot, oid) = try stored, let record = try snapshot.record(RecordKey(oid, key)) else {
            return nil
        }
        guard case .state(let value) = record.value else {
            throw DatabaseError.unreadable(
                path: connection?.path ?? "", oid: oid, reason: "\(record.key.part) is no value")
        }
        return .put(value)
    }

    /// The number of entries.
    func count() throws -> Int {
        guard let (snapshot, oid) = try stored else {
            return changes.values.reduce(0) { $0 + ($1.isRemoval ? 0 : 1) }
        }
        let count = try snapshot.entryCount(of: oid)
        if changes.isEmpty { return count }
        if let growth { return count + growth }
        var growth = 0
        for (key, change) in changes {
            let existed = try snapshot.record(RecordKey(oid, key.bytes)) != nil
            growth += (change.isRemoval ? 0 : 1) - (existed ? 1 : 0)
        }
        self.growth = growth
        return count + growth
    }

    /// Stored entries of a range, without this transaction's changes.
    func storedEntries(_ range: SubkeyRange, reversed: Bool, limit: Int) throws -> EntryBatch {
        guard let (snapshot, oid) = try stored else { return EntryBatch() }
        return try snapshot.entries(of: oid, in: range, reversed: reversed, limit: limit)
    }

    /// The changed keys of a range, in order or backwards.
    func changedKeys(_ range: SubkeyRange, reversed: Bool) -> [[UInt8]] {
        if changes.isEmpty { return [] }
        let ordered = order ?? SubkeyOrder.sorted(changes.keys.map(\.bytes))
        order = ordered
        let from = ordered.partition { !$0.precedes(range.from) }
        let to = ordered.partition { !$0.precedes(range.to) }
        guard from < to else { return [] }
        return reversed ? ordered[from..<to].reversed() : Array(ordered[from..<to])
    }

    func change(of key: [UInt8]) -> Change? { changes[HashedBytes(key)] }

    // MARK: Changing

    /// Changes an entry, without looking at what is there.
    func set(_ key: [UInt8], _ change: Change) throws {
        if objectStatus != .changed, oid != nil { try willChange() }
        if changes.updateValue(change, forKey: HashedBytes(key)) == nil { order = nil }
        growth = nil
    }

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        let oid = try builder.oid(of: self)
        if storedVersion == nil { try builder.writeState(of: self) }
        if changes.isEmpty { return }
        let ordered = order ?? SubkeyOrder.sorted(changes.keys.map(\.bytes))
        builder.writes.reserveCapacity(builder.writes.count + ordered.count)
        for key in ordered {
            let value: RecordValue?
            switch changes[HashedBytes(key)] {
            case .put(let bytes): value = .state(bytes)
            case .keep(let kept): value = .state(try builder.bytes { try kept.encode(to: &$0) })
            case .remove, nil: value = nil
            }
            builder.writes.append(
                RecordWrite(key: RecordKey(oid, key), value: value, base: nil, isBlind: true))
        }
    }

    override func didCommit() { forget() }
    override func didRevert() { forget() }

    private func forget() {
        changes = [:]
        order = nil
        growth = nil
    }

    // MARK: Savepoints

    /// What this transaction has changed so far.
    var pending: [HashedBytes: Change] {
        get { changes }
        set {
            forget()
            changes = newValue
        }
    }
}

/// Sorting of many subkeys.
enum SubkeyOrder {
    /// In the order of bytes. Most keys differ in their first bytes, which are compared as one number.
    static func sorted(_ keys: [[UInt8]]) -> [[UInt8]] {
        var places = keys.enumerated().map { (head: head($1), index: $0) }
        places.sort { a, b in
            a.head != b.head ? a.head < b.head : keys[a.index].precedes(keys[b.index])
        }
        return places.map { keys[$0.index] }
    }

    /// The bytes behind the first, which is mostly the same for all.
    private static func head(_ key: [UInt8]) -> UInt128 {
        var head: UInt128 = 0
        for index in 0..<16 { head = head << 8 | UInt128(index < key.count ? key[index] : 0) }
        return head
    }
}

extension [[UInt8]] {
    /// The first index whose element satisfies `predicate`, which all behind it do as well.
    fileprivate func partition(_ predicate: ([UInt8]) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
