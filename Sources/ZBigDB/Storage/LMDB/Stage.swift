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

/// A transaction that was checked, under the tid it gets.
struct CheckedChanges: Sendable {
    let tid: TID
    let stage: Stage
    /// Block records that were written within the commit.
    let blocks: [JournalEntry.Block]
    /// Whether it names block records that were written ahead.
    let isBulk: Bool

    /// What an entry of the journal would take at least, in bytes.
    var leastSize: Int {
        blocks.reduce(stage.writes.byteCount + stage.writes.count * 10) { $0 + $1.record.count }
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
