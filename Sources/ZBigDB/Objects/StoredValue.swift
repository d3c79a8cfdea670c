#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A stored value as any tool can read it, without the types of the program that wrote it.
public indirect enum StoredValue: Sendable, Equatable {
    /// No value.
    case null
    /// A truth value.
    case bool(Bool)
    /// An integer.
    case integer(Int64)
    /// An integer from 2^63 on.
    case unsigned(UInt64)
    /// A floating-point number.
    case real(Double)
    /// Text.
    case text(String)
    /// Bytes.
    case bytes([UInt8])
    /// A list.
    case list([StoredValue])
    /// A map, in the order of the record.
    case map([Entry])
    /// A reference to another object.
    case reference(OID, className: String)
    /// A value under a tag of CBOR, such as 1 for dates.
    case tagged(UInt64, StoredValue)

    /// An entry of a map.
    public struct Entry: Sendable, Equatable {
        /// The key.
        public let key: StoredValue
        /// The value.
        public let value: StoredValue

        /// An entry.
        public init(key: StoredValue, value: StoredValue) {
            self.key = key
            self.value = value
        }
    }
}

extension StoredValue: PersistentValue {
    /// Writes the value as it was read. A reference is not followed.
    public func encode(to encoder: inout StateEncoder) throws { cbor.encode(into: &encoder.writer) }
    /// Reads a value of any kind.
    public static func decode(from decoder: inout StateDecoder) throws -> StoredValue {
        StoredValue(try decoder.reader.value())
    }
}

/// An object's record as any tool can read it.
public struct StoredObject: Sendable, Equatable {
    /// The name of its class.
    public let className: String
    /// The version of the state's form.
    public let stateVersion: Int
    /// The properties.
    public let state: StoredValue
    /// How many entries it has, if it is a map, a set, or the root; how many elements, if it is a list.
    public let entryCount: Int
}

extension Connection {
    /// What is stored of an object; changes of this transaction are not seen.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``, ``StorageError``.
    public func storedObject(_ oid: OID) throws -> StoredObject {
        let snapshot = try self.snapshot
        guard let record = try snapshot.record(RecordKey(oid)) else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        return try decode(record) { decoder in
            let head = try RecordHead(&decoder.reader)
            let count =
                head.className == ListObject.className
                ? try storedList(oid).tree.count : try snapshot.entryCount(of: oid)
            return StoredObject(
                className: head.className, stateVersion: head.stateVersion,
                state: StoredValue(try decoder.reader.value()), entryCount: count)
        }
    }

    /// The stored value of an entry of a map, or of an element of a list; nil if there is none.
    ///
    /// - Parameters:
    ///   - key: of a list the index, from the end on if it is negative.
    ///   - oid: the number of the map or list.
    public func storedEntry(_ key: StoredValue, of oid: OID) throws -> StoredValue? {
        if try isStoredList(oid) { return try storedElement(key, of: oid) }
        guard let record = try snapshot.record(RecordKey(oid, try key.subkey())) else { return nil }
        return try decode(record) { StoredValue(try $0.reader.value()) }
    }

    /// Stored entries of a map, a set or the root, in order, of a composite key a list; or the elements of a list with
    /// their indices.
    ///
    /// - Parameters:
    ///   - oid: the number of the map, set, root or list.
    ///   - body: returns whether to go on.
    public func forEachStoredEntry(
        of oid: OID, _ body: (_ key: StoredValue, _ value: StoredValue) throws -> Bool
    ) throws {
        if try isStoredList(oid) { return try forEachStoredElement(of: oid, body) }
        var range = SubkeyRange()
        while true {
            let batch = try snapshot.entries(of: oid, in: range, reversed: false, limit: 256)
            for index in 0..<batch.count {
                let value = try decode(batch.bytes, at: batch.valueRange(index).lowerBound, of: oid) {
                    StoredValue(try $0.reader.value())
                }
                guard try body(StoredValue(key: batch.key(index)), value) else { return }
            }
            if batch.isLast { return }
            range.from = SubkeyRange.successor(of: batch.key(batch.count - 1))
        }
    }

    /// Changes a property of an object of any class.
    ///
    /// - Throws: ``DatabaseError/unreadable(path:oid:reason:)`` if there is no such property.
    public func setStored(_ value: StoredValue, for property: String, of oid: OID) throws {
        let object = try self.object(oid)
        guard let record = try snapshot.record(RecordKey(oid)), case .state(let bytes) = record.value else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        let old = CBORReader(bytes)
        guard case .array(var parts) = try CBORValue(decoding: old.bytes), parts.count == 3,
            case .map(var pairs) = parts[2],
            let place = pairs.firstIndex(where: { $0.key == .text(property) })
        else { throw DatabaseError.unreadable(path: path, oid: oid, reason: "no property \"\(property)\"") }
        pairs[place] = CBORValue.Pair(key: .text(property), value: value.cbor)
        parts[2] = .map(pairs)
        var writer = CBORWriter()
        CBORValue.array(parts).encode(into: &writer)
        let new = writer.bytes
        // A class that is known says whether it can read that.
        try decode(new, of: oid) { try object.decodeRecord(&$0) }
        if object.objectStatus == .ghost { object.objectStatus = .saved }
        object.storedVersion = record.tid
        if object.objectStatus == .saved { try register(object) }
    }

    /// Puts a value into a map, or removes an entry with nil. In a list it replaces or removes the element at an index;
    /// a value for the index behind the last is added.
    ///
    /// - Parameters:
    ///   - value: what to store.
    ///   - key: of a list the index, from the end on if it is negative.
    ///   - oid: the number of the map or list.
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)`` if `oid` is no map and no list,
    ///   ``DatabaseError/indexOutOfRange(what:index:count:)``.
    public func setStoredEntry(_ value: StoredValue?, for key: StoredValue, of oid: OID) throws {
        let object = try object(oid)
        if let list = object as? ListObject { return try setStoredElement(value, for: key, of: list) }
        let map = try MapObject.reference(to: object)
        let subkey = try key.subkey()
        guard let value else { return try map.set(subkey, .remove) }
        try map.set(subkey, .put(value.encoded))
    }
}

extension StoredValue {
    init(_ value: CBORValue) {
        switch value {
        case .unsigned(let value): self = Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
        case .negative(let value):
            self = Int64(exactly: value).map { .integer(-1 - $0) } ?? .real(-1 - Double(value))
        case .bytes(let value): self = .bytes(value)
        case .text(let value): self = .text(value)
        case .array(let items): self = .list(items.map { StoredValue($0) })
        case .map(let pairs):
            self = .map(pairs.map { Entry(key: StoredValue($0.key), value: StoredValue($0.value)) })
        case .tagged(ReferenceEncoder.tag, .array(let parts)):
            if parts.count == 2, case .unsigned(let oid) = parts[0], case .text(let name) = parts[1] {
                self = .reference(OID(rawValue: oid), className: name)
            } else {
                self = .tagged(ReferenceEncoder.tag, .list(parts.map { StoredValue($0) }))
            }
        case .tagged(let tag, let value): self = .tagged(tag, StoredValue(value))
        case .bool(let value): self = .bool(value)
        case .null, .undefined, .simple: self = .null
        case .double(let value): self = .real(value)
        }
    }

    /// As CBOR.
    var encoded: [UInt8] {
        var writer = CBORWriter()
        cbor.encode(into: &writer)
        return writer.bytes
    }

    var cbor: CBORValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): value < 0 ? .negative(UInt64(-1 - value)) : .unsigned(UInt64(value))
        case .unsigned(let value): .unsigned(value)
        case .real(let value): .double(value)
        case .text(let value): .text(value)
        case .bytes(let value): .bytes(value)
        case .list(let items): .array(items.map(\.cbor))
        case .map(let entries): .map(entries.map { CBORValue.Pair(key: $0.key.cbor, value: $0.value.cbor) })
        case .reference(let oid, let name):
            .tagged(ReferenceEncoder.tag, .array([.unsigned(oid.rawValue), .text(name)]))
        case .tagged(let tag, let value): .tagged(tag, value.cbor)
        }
    }

    /// A key of a map: several parts become a list.
    init(key: [UInt8]) {
        let parts = (KeyValue.parts(of: key) ?? [.bytes(key)]).map { StoredValue($0) }
        self = parts.count == 1 ? parts[0] : .list(parts)
    }

    private init(_ part: KeyValue) {
        switch part {
        case .none: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .large(let value): self = .unsigned(value)
        case .real(let value): self = .real(value)
        case .text(let value): self = .text(value)
        case .bytes(let value): self = .bytes(value)
        case .date(let value): self = .tagged(1, .real(value.timeIntervalSince1970))
        case .uuid(let value): self = .tagged(37, .bytes(value.bytes))
        case .list(let items): self = .list(items.map { StoredValue($0) })
        }
    }

    /// A list becomes the parts of a composite key.
    fileprivate func subkey() throws -> [UInt8] {
        if case .list(let parts) = self { return try parts.flatMap { try $0.subkey() } }
        switch self {
        case .null: return try KeyEncoder.subkey(Int?.none)
        case .bool(let value): return try KeyEncoder.subkey(value)
        case .integer(let value): return try KeyEncoder.subkey(value)
        case .unsigned(let value): return try KeyEncoder.subkey(value)
        case .real(let value): return try KeyEncoder.subkey(value)
        case .bytes(let value): return try KeyEncoder.subkey(value)
        case .text(let value): return try KeyEncoder.subkey(value)
        default:
            throw DatabaseError.wrongClass(
                what: "the key", expected: "a number, text or bytes", found: "\(self)")
        }
    }
}
