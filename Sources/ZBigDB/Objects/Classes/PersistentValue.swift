/// What a ``Persisted`` property, an entry of a ``PersistentMap`` or an element of a ``PersistentList``, can hold.
///
/// Numbers, text, dates, bytes and their like, optionals, arrays, dictionaries and sets of
/// them are values; so are references to persistent objects, arrays, maps and lists. A Codable type of
/// your own becomes one by saying so:
///
/// ```swift
/// struct Address: Codable, PersistentValue {
///     var street: String
///     var city: String
/// }
/// ```
public protocol PersistentValue: SendableMetatype {
    /// Writes the value as one item, which a list relies on.
    func encode(to encoder: inout StateEncoder) throws
    /// Reads what ``encode(to:)`` wrote.
    static func decode(from decoder: inout StateDecoder) throws -> Self
}

/// A value that is an object of its own in the database: what is stored is a reference to it.
public protocol PersistentReference: PersistentValue {
    /// The object referred to.
    var persistentObject: PersistentObject { get }
    /// The value that refers to `object`.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``.
    static func reference(to object: PersistentObject) throws -> Self
}

extension PersistentReference {
    /// Writes the reference, and adds a new object to the connection.
    public func encode(to encoder: inout StateEncoder) throws {
        try ReferenceEncoder(connection: encoder.connection).encode(persistentObject, into: &encoder.writer)
    }

    /// The connection's instance of the object.
    public static func decode(from decoder: inout StateDecoder) throws -> Self {
        let references = ReferenceDecoder(connection: decoder.connection)
        let object = try references.decode(&decoder.reader, as: Self.self as? PersistentObject.Type)
        return try reference(to: object)
    }
}

/// Writes values into the record of an object, as CBOR.
public struct StateEncoder {
    var writer = CBORWriter()
    let connection: Connection

    init(connection: Connection) { self.connection = connection }

    /// Writes a value of any kind.
    public mutating func encode(_ value: some PersistentValue) throws { try value.encode(to: &self) }
}

/// Reads values from the record of an object.
public struct StateDecoder {
    var reader: CBORReader
    let connection: Connection

    init(_ bytes: [UInt8], connection: consuming Connection) {
        reader = CBORReader(bytes)
        self.connection = connection
    }

    /// Reads a value of a given kind.
    ///
    /// - Throws: an error if the record holds something else there.
    public mutating func decode<T: PersistentValue>(_ type: T.Type = T.self) throws -> T {
        try T.decode(from: &self)
    }
}
