/// An ordered map in the database, of any size: entries are looked up where they are stored, and never all
/// loaded.
///
/// ```swift
/// let accounts = PersistentMap<String, Account>()
/// try connection.root.set("accounts", accounts)
/// try accounts.updateValue(Account(), forKey: "ann")
/// for (name, account) in try accounts.page(in: "a"..<"b") { print(name, account.balance) }
/// ```
///
/// A map is a reference to an object of its own: copies of the value are the same map. It can be a
/// property of a persistent class, an entry of another map, or have a name in the root. Each entry is
/// a record, so transactions that change different entries do not conflict, not even in their number.
/// It shows the connection's snapshot with the changes of the current transaction.
///
/// A value is written when it is put in: changing a value type that was read changes nothing in the map.
/// Values that are persistent objects are references and keep their identity.
public struct PersistentMap<Key: PersistentKey, Value: PersistentValue>: PersistentReference {
    /// The object that keeps the entries.
    public let object: MapObject

    /// A new, empty map. It is stored with what refers to it.
    public init() { object = MapObject() }

    private init(_ object: MapObject) { self.object = object }

    /// The object that keeps the entries.
    public var persistentObject: PersistentObject { object }

    /// The map whose entries `object` keeps.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``. The types of keys and values are checked
    ///   when entries are read.
    public static func reference(to object: PersistentObject) throws -> PersistentMap {
        PersistentMap(try MapObject.reference(to: object))
    }

    // MARK: One entry

    /// The value of `key`, or nil.
    ///
    /// - Throws: ``StorageError``, ``DatabaseError/unreadable(path:oid:reason:)`` if the value is of another type.
    /// - Complexity: O(log n).
    public subscript(key: Key) -> Value? {
        get throws {
            var buffers = object.takeBuffers()
            defer { object.giveBack(&buffers) }
            try buffers.key.encodeSubkey(key)
            if let change = object.change(of: buffers.key.bytes) {
                return change.isRemoval ? nil : try value(change)
            }
            guard let connection = try object.copyStoredValue(buffers.key.bytes, into: &buffers.value)
            else { return nil }
            return try decode(buffers.value, connection)
        }
    }

    /// Whether there is an entry for `key`.
    ///
    /// - Complexity: O(log n).
    public func contains(_ key: Key) throws -> Bool { try object.contains(try KeyEncoder.subkey(key)) }

    /// Puts `value` in, in the place of what is there, which is not looked at.
    ///
    /// - Throws: ``StorageError/keyTooLong(length:limit:)``, what ``Transaction/join(_:)`` throws.
    /// - Complexity: O(1) now, O(log n) at the commit.
    public func updateValue(_ value: Value, forKey key: Key) throws {
        // A map that is not stored yet may lose its connection again, and with it the numbers of objects.
        guard object.storedVersion != nil || object.objectStatus == .ghost, let connection = object.connection
        else { return try object.set(try KeyEncoder.subkey(key), .keep(value)) }
        var buffers = object.takeBuffers()
        defer { object.giveBack(&buffers) }
        try buffers.key.encodeSubkey(key)
        var encoder = StateEncoder(connection: connection)
        swap(&encoder.writer.bytes, &buffers.value)
        defer { swap(&encoder.writer.bytes, &buffers.value) }
        encoder.writer.bytes.removeAll(keepingCapacity: true)
        try value.encode(to: &encoder)
        try object.put(buffers.key.bytes, encoder.writer.bytes)
    }

    /// Removes the entry of `key`.
    ///
    /// - Returns: whether there was one.
    /// - Complexity: O(log n).
    @discardableResult
    public func removeValue(forKey key: Key) throws -> Bool {
        let subkey = try KeyEncoder.subkey(key)
        guard try object.contains(subkey) else { return false }
        try object.set(subkey, .remove)
        return true
    }

    /// Removes all entries of a range.
    ///
    /// - Returns: how many there were.
    /// - Complexity: O(entries removed · log n). All of them become part of the transaction, in memory.
    @discardableResult
    public func removeAll(in range: (any MapRangeExpression<Key>)? = nil) throws -> Int {
        var entries = EntryIterator(object, try SubkeyRange(range), reversed: false)
        var count = 0
        while let run = try entries.next() {
            switch run {
            case .stored(let places):
                for place in places { try object.set(entries.batch.key(place), .remove) }
                count += places.count
            case .changed(let key, _):
                try object.set(key, .remove)
                count += 1
            }
        }
        return count
    }

    /// The number of entries.
    ///
    /// - Complexity: O(log n), and once O(changes of this transaction · log n).
    public var count: Int { get throws { try object.count() } }

    /// Whether there is no entry.
    public var isEmpty: Bool { get throws { try count == 0 } }

    // MARK: Values

    func value(_ change: MapObject.Change) throws -> Value {
        switch change {
        case .put(let bytes): return try decode(bytes, try openConnection)
        case .keep(let value as Value): return value
        case .keep, .remove:
            throw DatabaseError.wrongClass(
                what: "an entry of \(object.objectLabel)", expected: "\(Value.self)", found: "\(change)")
        }
    }

    private func decode(_ bytes: [UInt8], _ connection: consuming Connection) throws -> Value {
        var decoder = StateDecoder(bytes, connection: connection)
        do { return try Value.decode(from: &decoder) } catch { throw readable(error) }
    }

    private var openConnection: Connection {
        get throws {
            if let connection = object.connection { return connection }
            throw DatabaseError.connectionClosed(what: object.objectLabel)
        }
    }

    func decodeKey(_ bytes: [UInt8]) throws -> Key {
        var decoder = KeyDecoder(bytes)
        do { return try decoder.whole() } catch { throw readable(error) }
    }

    /// Decodes entries of a batch as far as they can be read; returns why not all can.
    func decode(_ batch: EntryBatch, _ places: Range<Int>, _ keys: inout [Key], _ values: inout [Value])
        -> (any Error)?
    {
        do {
            let connection = try openConnection
            defer { keys.removeLast(keys.count - values.count) }
            do {
                try batch.decodeKeys(places, into: &keys)
            } catch {
                try batch.decodeValues(places.prefix(keys.count), connection, into: &values)
                throw error
            }
            try batch.decodeValues(places, connection, into: &values)
            return nil
        } catch {
            return readable(error)
        }
    }

    /// What is wrong with a key or value, as an error that names the map.
    private func readable(_ error: any Error) -> any Error {
        guard error is KeyDecoder.Malformed || error is CBORReader.Malformed || error is DecodingError else {
            return error
        }
        return DatabaseError.unreadable(
            path: object.connection?.path ?? "", oid: object.oid ?? .root, reason: "\(error)")
    }
}
