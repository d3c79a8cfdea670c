extension PersistentValue where Self: Codable {
    /// Writes the value as its own Codable form says.
    public func encode(to encoder: inout StateEncoder) throws { try encoder.encodeCodable(self) }
    /// Reads the value as its own Codable form says.
    public static func decode(from decoder: inout StateDecoder) throws -> Self { try decoder.decodeCodable() }
}

extension StateEncoder {
    /// Writes a Codable value as one item.
    mutating func encodeCodable(_ value: some Encodable) throws {
        let state = CBOREncoding(self)
        // One owner at a time, or every byte written would copy all before it.
        writer.bytes = []
        defer { self = state.take() }
        try state.encodeMembers(of: value, at: [])
    }
}

extension StateDecoder {
    /// Reads one item as a Codable value.
    mutating func decodeCodable<T: Decodable>() throws -> T {
        var end = reader
        try end.skip()
        let value = try T(from: CBORDecoding(item: self, codingPath: []))
        reader.position = end.position
        return value
    }
}

/// A reference to a persistent object, array or map within a Codable value.
///
/// ```swift
/// struct Payment: Codable, PersistentValue {
///     var amount: Int
///     var from: Reference<Account>
/// }
/// ```
public struct Reference<Object: PersistentReference>: PersistentValue, Codable {
    /// The object; its state is loaded when it is looked at.
    public let object: Object

    /// A reference to `object`.
    public init(_ object: Object) { self.object = object }

    /// Writes the reference, and adds a new object to the connection.
    public func encode(to encoder: inout StateEncoder) throws { try object.encode(to: &encoder) }

    /// The connection's instance of the object.
    public static func decode(from decoder: inout StateDecoder) throws -> Reference {
        Reference(try Object.decode(from: &decoder))
    }

    /// Refused: outside of a database a reference means nothing.
    public func encode(to encoder: any Encoder) throws {
        throw EncodingError.invalidValue(
            self,
            .init(
                codingPath: encoder.codingPath,
                debugDescription: "a reference to a persistent object can be stored in its database only"))
    }

    /// Refused: outside of a database a reference means nothing.
    public init(from decoder: any Decoder) throws {
        throw DecodingError.dataCorrupted(
            .init(
                codingPath: decoder.codingPath,
                debugDescription: "a reference to a persistent object can be read from its database only"))
    }
}

extension Reference: Equatable, Hashable {
    /// Whether both refer to one object.
    public static func == (a: Reference, b: Reference) -> Bool {
        a.object.persistentObject === b.object.persistentObject
    }

    /// Hashes the object's identity.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(object.persistentObject))
    }
}

/// A place in an array, as a coding key.
struct IndexKey: CodingKey {
    let index: Int
    var intValue: Int? { index }
    var stringValue: String { String(index) }
    init(_ index: Int) { self.index = index }
    init(intValue: Int) { index = intValue }
    init?(stringValue: String) { return nil }
    static let parent = IndexKey(-1)
}
