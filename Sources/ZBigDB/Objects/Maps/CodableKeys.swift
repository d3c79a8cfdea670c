extension PersistentKey where Self: Codable {
    /// Writes the properties one after the other.
    public func encode(to encoder: inout KeyEncoder) throws {
        let writer = KeyWriter(encoder)
        try encode(to: writer)
        encoder = writer.encoder
    }

    /// Reads the properties one after the other.
    public static func decode(from decoder: inout KeyDecoder) throws -> Self {
        let reader = KeyReader(decoder)
        let key = try Self(from: reader)
        decoder = reader.decoder
        return key
    }
}

/// Codable values as keys: properties in the order they are encoded in, lists with a mark at their end.
/// The names of properties are no part of the key.
private final class KeyWriter: Encoder {
    var encoder: KeyEncoder
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ encoder: KeyEncoder) { self.encoder = encoder }

    func write<T: Encodable>(_ value: T) throws {
        if let key = value as? any PersistentKey { return try key.encode(to: &encoder) }
        try value.encode(to: self)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(KeyFieldWriter(writer: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer { KeyListWriter(writer: self) }
    func singleValueContainer() -> any SingleValueEncodingContainer { KeyItemWriter(writer: self) }

    static func refusal(_ what: String) -> EncodingError {
        .invalidValue(
            what, .init(codingPath: [], debugDescription: "\(what) cannot be part of a key of a map"))
    }
}

private struct KeyItemWriter: SingleValueEncodingContainer {
    let writer: KeyWriter
    var codingPath: [any CodingKey] { [] }

    func encodeNil() throws { writer.encoder.tag(KeyTag.none) }
    func encode<T: Encodable>(_ value: T) throws { try writer.write(value) }
}

private struct KeyFieldWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let writer: KeyWriter
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) throws { writer.encoder.tag(KeyTag.none) }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try writer.write(value) }

    // Left out, a missing value would move the ones behind it to its place.
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try optional(value) }
    func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws { try optional(value) }

    private func optional<T: Encodable>(_ value: T?) throws {
        if let value { try writer.write(value) } else { writer.encoder.tag(KeyTag.none) }
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
        -> KeyedEncodingContainer<Nested>
    { writer.container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { writer.unkeyedContainer() }
    func superEncoder() -> any Encoder { writer }
    func superEncoder(forKey key: Key) -> any Encoder { writer }
}

/// Refused: when a list ends is not told. Arrays are written as such.
private struct KeyListWriter: UnkeyedEncodingContainer {
    let writer: KeyWriter
    var codingPath: [any CodingKey] { [] }
    var count: Int { 0 }

    func encodeNil() throws { throw KeyWriter.refusal("a list of its own making") }
    func encode<T: Encodable>(_ value: T) throws { throw KeyWriter.refusal("a list of its own making") }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        writer.container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { self }
    func superEncoder() -> any Encoder { writer }
}

private final class KeyReader: Decoder {
    var decoder: KeyDecoder
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ decoder: KeyDecoder) { self.decoder = decoder }

    func read<T: Decodable>(_ type: T.Type) throws -> T {
        if let type = type as? any PersistentKey.Type, let value = try type.decode(from: &decoder) as? T {
            return value
        }
        return try T(from: self)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(KeyFieldReader(reader: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw KeyDecoder.Malformed(description: "a list of its own making cannot be part of a key")
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { KeyItemReader(reader: self) }
}

private struct KeyItemReader: SingleValueDecodingContainer {
    let reader: KeyReader
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { reader.decoder.take(KeyTag.none) }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try reader.read(type) }
}

private struct KeyFieldReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let reader: KeyReader
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { reader.decoder.take(KeyTag.none) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try reader.read(type) }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
        -> KeyedDecodingContainer<Nested>
    { try reader.container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try reader.unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { reader }
    func superDecoder(forKey key: Key) throws -> any Decoder { reader }
}
