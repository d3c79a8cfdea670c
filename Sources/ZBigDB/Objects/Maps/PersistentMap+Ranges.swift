extension PersistentMap {
    /// An entry.
    public typealias Entry = (key: Key, value: Value)

    /// Calls `body` with each entry of a range, in the order of keys or backwards.
    ///
    /// Entries stream through a small buffer, however many there are. What `body` changes in the map is
    /// not seen by the rest of the walk.
    ///
    /// - Throws: what `body` throws, which ends the walk; ``StorageError``.
    @inlinable
    public func forEach(
        in range: (any MapRangeExpression<Key>)? = nil, reversed: Bool = false,
        _ body: (_ key: Key, _ value: Value) throws -> Void
    ) throws {
        var entries = try entries(in: range, reversed: reversed)
        while let entry = try entries.next() { try body(entry.key, entry.value) }
    }

    /// The entries of a range, to be taken one by one.
    ///
    /// - Complexity: O(log n) to begin, O(1) for each entry.
    public func entries(
        in range: (any MapRangeExpression<Key>)? = nil, reversed: Bool = false
    ) throws -> MapEntries<Key, Value> {
        MapEntries(self, EntryIterator(object, try SubkeyRange(range), reversed: reversed))
    }

    /// At most `limit` entries of a range, in order or backwards. ``MapRange/after(_:)`` the last key is
    /// where the next page begins.
    ///
    /// - Complexity: O(log n + limit).
    public func page(
        in range: (any MapRangeExpression<Key>)? = nil, reversed: Bool = false, limit: Int = 100
    ) throws -> [Entry] {
        if limit <= 0 { return [] }
        let walk = EntryIterator(object, try SubkeyRange(range), reversed: reversed, batch: min(limit, 512))
        var entries = MapEntries(self, walk)
        var page: [Entry] = []
        while page.count < limit, let entry = try entries.next() { page.append(entry) }
        return page
    }

    /// The first entry of a range.
    ///
    /// - Complexity: O(log n).
    public func first(in range: (any MapRangeExpression<Key>)? = nil) throws -> Entry? {
        try page(in: range, limit: 1).first
    }

    /// The last entry of a range.
    ///
    /// - Complexity: O(log n).
    public func last(in range: (any MapRangeExpression<Key>)? = nil) throws -> Entry? {
        try page(in: range, reversed: true, limit: 1).first
    }

    /// The number of entries of a range.
    ///
    /// - Complexity: O(log n + entries of the range); see ``count`` for all.
    public func count(in range: any MapRangeExpression<Key>) throws -> Int {
        var walk = EntryIterator(object, try SubkeyRange(range), reversed: false)
        var count = 0
        while let run = try walk.next() {
            if case .stored(let places) = run { count += places.count } else { count += 1 }
        }
        return count
    }
}

/// The entries of a map, taken one by one:
///
/// ```swift
/// var entries = try map.entries(in: "a"...)
/// while let (key, value) = try entries.next() { print(key, value) }
/// ```
public struct MapEntries<Key: PersistentKey, Value: PersistentValue> {
    private let map: PersistentMap<Key, Value>
    private var walk: EntryIterator
    // Decoded ahead, a run at a time: what goes on for each entry is in the client's code.
    @usableFromInline var keys: [Key] = []
    @usableFromInline var values: [Value] = []
    @usableFromInline var position = 0
    /// Why what comes behind them cannot be read.
    private var failure: (any Error)?

    init(_ map: PersistentMap<Key, Value>, _ walk: EntryIterator) {
        self.map = map
        self.walk = walk
    }

    /// The next entry, or nil at the end.
    ///
    /// - Throws: ``StorageError``, ``DatabaseError/unreadable(path:oid:reason:)``.
    @inlinable
    public mutating func next() throws -> (key: Key, value: Value)? {
        if position == values.count, try !decodeMore() { return nil }
        defer { position += 1 }
        return (keys[position], values[position])
    }

    /// Decodes entries that come next; false at the end.
    @usableFromInline
    mutating func decodeMore() throws -> Bool {
        keys.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        position = 0
        if let failure { throw failure }
        switch try walk.next() {
        case nil: return false
        case .changed(let key, let change):
            let entry = (try map.decodeKey(key), try map.value(change))
            keys.append(entry.0)
            values.append(entry.1)
        case .stored(let places):
            failure = map.decode(walk.batch, places, &keys, &values)
            if values.isEmpty, let failure { throw failure }
        }
        return true
    }
}
