/// Codable values as CBOR, written as they come: no tree is built.
///
/// The head of a list or map is written when it begins, as one byte, and corrected when it ends, which is
/// known when its parent goes on. So containers must be written one after the other, as synthesised code does;
/// going back to one that has ended is an error.
final class CBOREncoding {
    private struct Open {
        let start: Int
        let major: CBORWriter.Major
        let number: Int
        var count = 0
    }

    private var encoder: StateEncoder
    private var open: [Open] = []
    private var numbers = 0

    init(_ encoder: StateEncoder) { self.encoder = encoder }

    /// What was written, for the owner to go on with.
    func take() -> StateEncoder {
        defer { encoder.writer.bytes = [] }
        return encoder
    }

    /// Writes one value: what has a form of its own in the database in that, everything else by its Codable form.
    func encode<T: Encodable>(_ value: T, at path: [any CodingKey]) throws {
        if let value = value as? any PersistentValue { return try value.encode(to: &encoder) }
        try encodeMembers(of: value, at: path)
    }

    /// Writes one value by its Codable form.
    func encodeMembers(of value: some Encodable, at path: [any CodingKey]) throws {
        let before = (open.count, encoder.writer.bytes.count)
        try value.encode(to: CBOREncoderView(state: self, codingPath: path))
        // A value that writes nothing is an empty map, as in other formats.
        if encoder.writer.bytes.count == before.1 { encoder.writer.map(0) }
        close(to: before.0)
    }

    func write(_ body: (inout CBORWriter) -> Void) { body(&encoder.writer) }

    /// Begins a container; returns its number.
    func begin(_ major: CBORWriter.Major) -> Int {
        numbers += 1
        open.append(Open(start: encoder.writer.bytes.count, major: major, number: numbers))
        encoder.writer.head(major, 0)
        return numbers
    }

    /// Makes a container the one that is written to, and counts an item.
    func add(to number: Int, at path: [any CodingKey]) throws {
        guard let index = open.lastIndex(where: { $0.number == number }) else {
            throw EncodingError.invalidValue(
                number,
                .init(
                    codingPath: path, debugDescription: "the container has ended; write one after the other"))
        }
        close(to: index + 1)
        open[index].count += 1
    }

    func count(of number: Int) -> Int { open.last { $0.number == number }?.count ?? 0 }

    /// Ends containers, the innermost first, and corrects their heads.
    private func close(to depth: Int) {
        while open.count > depth {
            let container = open.removeLast()
            var head = CBORWriter()
            head.head(container.major, UInt64(container.count))
            encoder.writer.bytes.replaceSubrange(container.start...container.start, with: head.bytes)
        }
    }
}

private struct CBOREncoderView: Encoder {
    let state: CBOREncoding
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(KeyedItems(state: state, codingPath: codingPath, number: state.begin(.map)))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        ListItems(state: state, codingPath: codingPath, number: state.begin(.array))
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleItem(state: state, codingPath: codingPath)
    }
}

private struct SingleItem: SingleValueEncodingContainer {
    let state: CBOREncoding
    let codingPath: [any CodingKey]

    func encodeNil() throws { state.write { $0.null() } }
    func encode<T: Encodable>(_ value: T) throws { try state.encode(value, at: codingPath) }
}

private struct KeyedItems<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let state: CBOREncoding
    let codingPath: [any CodingKey]
    let number: Int

    private func begin(_ key: any CodingKey) throws {
        try state.add(to: number, at: codingPath)
        state.write { writer in
            if let integer = key.intValue { writer.integer(integer) } else { writer.text(key.stringValue) }
        }
    }

    func encodeNil(forKey key: Key) throws {
        try begin(key)
        state.write { $0.null() }
    }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try begin(key)
        try state.encode(value, at: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
        -> KeyedEncodingContainer<Nested>
    {
        // An error cannot be thrown here; a container without a place refuses what is written to it.
        let isOpen = (try? begin(key)) != nil
        return KeyedEncodingContainer(
            KeyedItems<Nested>(
                state: state, codingPath: codingPath + [key], number: isOpen ? state.begin(.map) : -1))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        let isOpen = (try? begin(key)) != nil
        return ListItems(
            state: state, codingPath: codingPath + [key], number: isOpen ? state.begin(.array) : -1)
    }

    func superEncoder() -> any Encoder { superEncoder(named: "super") }
    func superEncoder(forKey key: Key) -> any Encoder { superEncoder(named: key.stringValue) }

    private func superEncoder(named name: String) -> any Encoder {
        if (try? state.add(to: number, at: codingPath)) != nil { state.write { $0.text(name) } }
        return CBOREncoderView(state: state, codingPath: codingPath)
    }
}

private struct ListItems: UnkeyedEncodingContainer {
    let state: CBOREncoding
    let codingPath: [any CodingKey]
    let number: Int
    var count: Int { state.count(of: number) }

    func encodeNil() throws {
        try state.add(to: number, at: codingPath)
        state.write { $0.null() }
    }

    func encode<T: Encodable>(_ value: T) throws {
        try state.add(to: number, at: codingPath)
        try state.encode(value, at: codingPath + [IndexKey(count - 1)])
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let isOpen = (try? state.add(to: number, at: codingPath)) != nil
        return KeyedEncodingContainer(
            KeyedItems<Nested>(state: state, codingPath: codingPath, number: isOpen ? state.begin(.map) : -1))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let isOpen = (try? state.add(to: number, at: codingPath)) != nil
        return ListItems(state: state, codingPath: codingPath, number: isOpen ? state.begin(.array) : -1)
    }

    func superEncoder() -> any Encoder {
        _ = try? state.add(to: number, at: codingPath)
        return CBOREncoderView(state: state, codingPath: codingPath)
    }
}
