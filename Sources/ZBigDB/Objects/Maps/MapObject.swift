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

    private var changes = EntryChanges()
    /// Values of entries that cannot be encoded yet.
    private var kept: [any PersistentValue] = []
    /// The changed entries in the order of their keys, as long as none was added.
    private var order: [UInt32]?
    /// How many more entries there are because of the changes, as long as there are no more.
    private var growth: Int?
    /// Buffers that keys and values are encoded in, used again and again.
    private var buffers = EntryBuffers()

    override init() { super.init() }
    override init(ghost oid: OID) { super.init(ghost: oid) }
    override class func ghost(_ oid: OID) -> PersistentObject { MapObject(ghost: oid) }

    /// The connection to look at and the number; nil if nothing of this map is stored.
    private var stored: (Connection, OID)? {
        get throws {
            guard let oid else { return nil }
            guard let connection else { throw DatabaseError.connectionClosed(what: objectLabel) }
            return (connection, oid)
        }
    }

    // MARK: Reading

    /// Puts the stored value of an entry, without this transaction's changes, in the place of `value`. Returns
    /// what can decode it; nil if there is none.
    func copyStoredValue(_ key: [UInt8], into value: inout [UInt8]) throws -> Connection? {
        guard let (connection, oid) = try stored, try connection.snapshot.entry(oid, key, into: &value)
        else { return nil }
        return connection
    }

    func contains(_ key: [UInt8]) throws -> Bool {
        if let index = changes.find(key) { return !changes.isRemoval(index) }
        var buffers = takeBuffers()
        defer { giveBack(&buffers) }
        return try copyStoredValue(key, into: &buffers.value) != nil
    }

    /// The number of entries.
    func count() throws -> Int {
        guard let (connection, oid) = try stored else {
            return (0..<changes.count).count { !changes.isRemoval($0) }
        }
        let snapshot = try connection.snapshot
        let count = try snapshot.entryCount(of: oid)
        if changes.isEmpty { return count }
        if let growth { return count + growth }
        var growth = 0
        for index in 0..<changes.count {
            let existed = try snapshot.record(RecordKey(oid, changes.key(index))) != nil
            growth += (changes.isRemoval(index) ? 0 : 1) - (existed ? 1 : 0)
        }
        self.growth = growth
        return count + growth
    }

    /// Stored entries of a range, without this transaction's changes.
    func storedEntries(_ range: SubkeyRange, reversed: Bool, limit: Int) throws -> EntryBatch {
        guard let (connection, oid) = try stored else { return EntryBatch() }
        return try connection.snapshot.entries(of: oid, in: range, reversed: reversed, limit: limit)
    }

    /// The changed keys of a range, in order or backwards.
    func changedKeys(_ range: SubkeyRange, reversed: Bool) -> [[UInt8]] {
        if changes.isEmpty { return [] }
        let ordered = orderedChanges()
        let from = ordered.partition { !changes.key(Int($0)).precedes(range.from) }
        let to = ordered.partition { !changes.key(Int($0)).precedes(range.to) }
        guard from < to else { return [] }
        let keys = ordered[from..<to].map { changes.key(Int($0)) }
        return reversed ? keys.reversed() : keys
    }

    private func orderedChanges() -> [UInt32] {
        let ordered = order ?? changes.ordered()
        order = ordered
        return ordered
    }

    func change(of key: [UInt8]) -> Change? { changes.find(key).map { change(at: $0) } }

    private func change(at index: Int) -> Change {
        switch changes.change(index) {
        case .put(let bytes): .put(bytes)
        case .removal: .remove
        case .kept(let number): .keep(kept[number])
        }
    }

    // MARK: Changing

    /// Changes an entry, without looking at what is there.
    func set(_ key: [UInt8], _ change: Change) throws {
        switch change {
        case .put(let value): try put(key, value)
        case .remove:
            try noteChange()
            if changes.remove(key) { order = nil }
        case .keep(let value):
            try noteChange()
            if changes.keep(key, as: kept.count) { order = nil }
            kept.append(value)
        }
    }

    /// The same with an encoded value.
    func put(_ key: [UInt8], _ value: [UInt8]) throws {
        try noteChange()
        if changes.put(key, value) { order = nil }
    }

    private func noteChange() throws {
        if objectStatus != .changed, oid != nil { try willChange() }
        growth = nil
    }

    /// Hands the buffers out, to be given back; who asks meanwhile gets others.
    func takeBuffers() -> EntryBuffers {
        var taken = EntryBuffers()
        swap(&taken, &buffers)
        return taken
    }

    func giveBack(_ taken: inout EntryBuffers) {
        // One large value is no reason to keep its room.
        if taken.value.capacity <= Self.largestBuffer { swap(&taken, &buffers) }
    }

    private static let largestBuffer = 1 << 16

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        let oid = try builder.oid(of: self)
        if storedVersion == nil { try builder.writeState(of: self) }
        if changes.isEmpty { return }
        builder.writes.reserve(changes.count, bytes: changes.byteCount + changes.count)
        for index in orderedChanges().lazy.map({ Int($0) }) {
            guard !kept.isEmpty, case .kept(let number) = changes.change(index) else {
                changes.append(index, of: oid, to: &builder.writes)
                continue
            }
            let value = try builder.bytes { try kept[number].encode(to: &$0) }
            builder.writes.append(
                RecordWrite(
                    key: RecordKey(oid, changes.key(index)), value: .state(value), base: nil, isBlind: true))
        }
    }

    override func didCommit() { forget() }
    override func didRevert() { forget() }

    private func forget() {
        changes = EntryChanges()
        kept = []
        order = nil
        growth = nil
    }

    // MARK: Savepoints

    /// What a transaction has changed so far.
    struct Pending {
        fileprivate let changes: EntryChanges
        fileprivate let kept: [any PersistentValue]
    }

    /// What this transaction has changed so far.
    var pending: Pending {
        get { Pending(changes: changes, kept: kept) }
        set {
            forget()
            (changes, kept) = (newValue.changes, newValue.kept)
        }
    }
}

/// Where a key and a value are encoded.
struct EntryBuffers {
    var key = KeyEncoder()
    var value: [UInt8] = []
}

extension [UInt32] {
    /// The first index whose element satisfies `predicate`, which all behind it do as well.
    fileprivate func partition(_ predicate: (UInt32) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
