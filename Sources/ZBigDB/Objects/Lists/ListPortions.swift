/// Gathers elements that are inserted next to each other, in portions that go down the tree together.
struct ListPortions {
    /// Bytes, or elements, of a portion.
    private static let size = 1 << 16

    /// Nil: they are kept as values.
    private var encoder: StateEncoder?
    private var ends: [Int] = []
    private var kept: [any PersistentValue] = []
    private var portions: [ListLeaf] = []

    init(_ connection: Connection?) {
        encoder = connection.map { StateEncoder(connection: $0) }
    }

    mutating func add(contentsOf values: [some PersistentValue]) throws {
        for value in values { try add(value) }
    }

    mutating func add(_ value: some PersistentValue) throws {
        guard let start = encoder?.writer.bytes.count else {
            kept.append(value)
            return
        }
        try encoder?.encode(value)
        try encoder?.checkOneItem(from: start, value)
        let end = encoder?.writer.bytes.count ?? start
        ends.append(end)
        if end >= Self.size || ends.count >= Self.size { close() }
    }

    private mutating func close() {
        if let bytes = encoder?.writer.bytes, !ends.isEmpty {
            portions.append(ListLeaf(bytes: bytes, ends: ends))
        }
        encoder?.writer.bytes = []
        ends = []
    }

    /// All of them.
    mutating func finish() -> [ListLeaf] {
        close()
        if !kept.isEmpty { portions.append(ListLeaf(kept: kept)) }
        return portions
    }
}

extension StateEncoder {
    /// Elements of a list lie next to each other, so one that is not exactly one item would damage the others.
    func checkOneItem(from start: Int, _ value: some PersistentValue) throws {
        var reader = CBORReader(writer.bytes)
        reader.position = start
        do {
            try reader.pass()
            if reader.isAtEnd { return }
        } catch {}
        throw EncodingError.invalidValue(
            value,
            .init(
                codingPath: [], debugDescription: "an element of a list must be encoded as one item of CBOR"))
    }
}
