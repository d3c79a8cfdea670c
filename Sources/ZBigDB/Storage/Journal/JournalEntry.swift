/// One transaction in the journal: all that is needed to commit it once more.
struct JournalEntry: Equatable, Sendable {
    /// A block record that the transaction itself brings along.
    struct Block: Equatable, Sendable {
        let id: BlockID
        let record: [UInt8]
    }

    let tid: TID
    /// Object numbers below this one may be in use.
    let nextOID: UInt64
    let id: TransactionID
    /// A ``Stage``, encoded.
    let stage: [UInt8]
    let blocks: [Block]

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(tid.rawValue)
        writer.integer(nextOID)
        writer.raw(id.bytes)
        writer.counted(stage)
        writer.number(UInt64(blocks.count))
        for block in blocks {
            writer.integer(block.id.rawValue)
            writer.counted(block.record)
        }
        return writer.bytes
    }
}

extension JournalEntry {
    init(decoding bytes: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        tid = TID(rawValue: try reader.integer())
        nextOID = try reader.integer()
        guard let id = TransactionID(bytes: try reader.raw(16)) else { throw ByteReader.Malformed() }
        self.id = id
        stage = try reader.counted()
        var blocks: [Block] = []
        for _ in 0..<(try reader.count()) {
            blocks.append(
                Block(id: BlockID(rawValue: try reader.integer()), record: try reader.counted()))
        }
        self.blocks = blocks
    }
}
