/// What a commit is going to write, in the form `prepared` stores.
struct Stage: Sendable {
    let id: TransactionID
    let user: String
    let note: String
    let metadata: [String: String]
    /// Ascending by key.
    var writes: [RecordWrite]

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.string(user)
        writer.string(note)
        writer.pairs(metadata)
        writer.number(UInt64(writes.count))
        for write in writes {
            writer.integer(write.key.oid.rawValue)
            writer.counted(write.key.subkey)
            writer.counted(write.value?.encoded() ?? [])
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
        var writes: [RecordWrite] = []
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
