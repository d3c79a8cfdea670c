/// What a commit is going to write, in the form `prepared` stores.
struct Stage: Sendable {
    let id: TransactionID
    let user: String
    let note: String
    let metadata: [String: String]
    /// Ascending by key.
    var writes: RecordWrites

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.string(user)
        writer.string(note)
        writer.pairs(metadata)
        writer.number(UInt64(writes.count))
        unsafe writes.forEachPlace { write in
            unsafe writer.integer(write.oid.rawValue)
            unsafe writer.counted(write.subkey)
            unsafe writer.counted(write.value ?? UnsafeRawBufferPointer(start: nil, count: 0))
        }
        return writer.bytes
    }
}

extension Stage {
    init(_ id: TransactionID, decoding bytes: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        self.id = id
        user = try reader.string()
        note = try reader.string()
        metadata = try reader.pairs()
        var writes = RecordWrites()
        for _ in 0..<(try reader.count()) {
            let key = RecordKey(OID(rawValue: try reader.integer()), try reader.counted())
            let value = try reader.counted()
            writes.append(
                RecordWrite(
                    key: key, value: value.isEmpty ? nil : try RecordValue(decoding: value), base: nil))
        }
        self.writes = writes
    }
}
