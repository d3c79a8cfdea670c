/// Codable values from CBOR, read where they lie: each container knows the places of its items.
struct CBORDecoding: Decoder {
    /// At the item to decode.
    var item: StateDecoder
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try KeyedPlaces<Key>(item, codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try ListPlaces(item, codingPath) }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    /// Reads one value: what has a form of its own in the database in that, everything else by its Codable form.
    fileprivate func value<T: Decodable>(_ type: T.Type) throws -> T {
        var item = item
        if let type = type as? any PersistentValue.Type, let value = try type.decode(from: &item) as? T {
            return value
        }
        return try T(from: self)
    }

    fileprivate var isNull: Bool {
        var reader = item.reader
        return reader.takeNull()
    }

    fileprivate func at(_ place: Int, _ key: any CodingKey) -> CBORDecoding {
        var item = item
        item.reader.position = place
        return CBORDecoding(item: item, codingPath: codingPath + [key])
    }
}

extension CBORDecoding: SingleValueDecodingContainer {
    func decodeNil() -> Bool { isNull }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try value(type) }
}

extension CBORReader {
    /// The places of the items of a list or map, in order; keys and values of a map in turn.
    fileprivate mutating func places(_ major: CBORWriter.Major) throws(Malformed) -> [Int] {
        var places: [Int] = []
        func place(_ reader: inout CBORReader) throws(Malformed) {
            places.append(reader.position)
            try reader.skip()
        }
        guard let count = try openHead(major) else {
            while !take(0xff) { try place(&self) }
            return places
        }
        guard count <= UInt64(bytes.count) else { throw .endsEarly }
        for _ in 0..<(major == .map ? 2 * count : count) { try place(&self) }
        return places
    }
}

private struct KeyedPlaces<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let decoding: CBORDecoding
    private var places: [String: Int] = [:]
    private var keys: [(text: String, integer: Int?)] = []
    var codingPath: [any CodingKey] { decoding.codingPath }

    init(_ item: StateDecoder, _ codingPath: [any CodingKey]) throws {
        decoding = CBORDecoding(item: item, codingPath: codingPath)
        var reader = item.reader
        let all = try reader.places(.map)
        for index in stride(from: 0, to: all.count, by: 2) {
            reader.position = all[index]
            let integer = try reader.peek() == .text ? nil : try reader.integer(Int.self)
            let text = try integer.map(String.init) ?? reader.text()
            keys.append((text, integer))
            places[text] = all[index + 1]
        }
    }

    var allKeys: [Key] {
        keys.compactMap { key in key.integer.flatMap { Key(intValue: $0) } ?? Key(stringValue: key.text) }
    }

    private func text(_ key: any CodingKey) -> String { key.intValue.map(String.init) ?? key.stringValue }
    func contains(_ key: Key) -> Bool { places[text(key)] != nil }

    private func item(_ key: any CodingKey) throws -> CBORDecoding {
        guard let place = places[text(key)] else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "there is no \"\(text(key))\""))
        }
        return decoding.at(place, key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try item(key).isNull }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try item(key).value(type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
        -> KeyedDecodingContainer<Nested>
    {
        try item(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try item(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        guard let place = places["super"] else { return decoding }
        return decoding.at(place, IndexKey.parent)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { try item(key) }
}

private struct ListPlaces: UnkeyedDecodingContainer {
    private let decoding: CBORDecoding
    private let places: [Int]
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { decoding.codingPath }
    var count: Int? { places.count }
    var isAtEnd: Bool { currentIndex == places.count }

    init(_ item: StateDecoder, _ codingPath: [any CodingKey]) throws {
        decoding = CBORDecoding(item: item, codingPath: codingPath)
        var reader = item.reader
        places = try reader.places(.array)
    }

    private func current() throws -> CBORDecoding {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                Any.self,
                .init(codingPath: codingPath, debugDescription: "the list has \(places.count) items"))
        }
        return decoding.at(places[currentIndex], IndexKey(currentIndex))
    }

    mutating func decodeNil() throws -> Bool {
        guard try current().isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try current().value(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws
        -> KeyedDecodingContainer<Nested>
    {
        defer { currentIndex += 1 }
        return try current().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        defer { currentIndex += 1 }
        return try current().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        defer { currentIndex += 1 }
        return try current()
    }
}
