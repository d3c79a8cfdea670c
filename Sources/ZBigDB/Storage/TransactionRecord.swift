/// An entry of the transactions log: who, when, why, and what changed.
public struct TransactionRecord: Sendable, Equatable {
    /// The transaction's number, which is also its time.
    public internal(set) var tid: TID
    /// The id it had before it got a tid.
    public let id: TransactionID
    /// Who made it; may be empty.
    public let user: String
    /// Why; may be empty.
    public let note: String
    /// Further facts, by name.
    public let metadata: [String: String]
    let changes: ChangeSet
    /// Blocks that lie elsewhere in the file since, with the bytes they had.
    var moves = ChangeSet()

    /// How many objects it changed, arrays by their blocks counted once.
    public var changedObjects: Int { changes.objects.count }
    /// How many blocks of arrays it changed.
    public var changedBlocks: Int { changes.objects.values.reduce(0) { $0 + $1.blocks.count } }

    private static let version: UInt8 = 2

    func encoded() -> [UInt8] {
        Self.encoded(
            id: id, user: user, note: note, metadata: metadata, changes: changes.encoded(),
            moves: moves.encoded())
    }

    /// The log entry of a transaction whose changes are encoded already.
    static func encoded(
        id: TransactionID, user: String, note: String, metadata: [String: String], changes: [UInt8],
        moves: [UInt8] = []
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(version)
        writer.raw(id.bytes)
        writer.string(user)
        writer.string(note)
        writer.pairs(metadata)
        writer.counted(changes)
        writer.raw(moves)
        return writer.bytes
    }

    /// - Parameter withChanges: whether to read what it changed, which may be much.
    init(tid: TID, decoding bytes: [UInt8], withChanges: Bool = true) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.version, let id = TransactionID(bytes: try reader.raw(16)) else {
            throw ByteReader.Malformed()
        }
        self.tid = tid
        self.id = id
        user = try reader.string()
        note = try reader.string()
        metadata = try reader.pairs()
        var changed = ByteReader(try reader.counted())
        changes = withChanges ? try ChangeSet(decoding: &changed) : ChangeSet()
        moves = try ChangeSet(decoding: &reader)
    }

    init(
        tid: TID, id: TransactionID, user: String, note: String, metadata: [String: String],
        changes: ChangeSet, moves: ChangeSet = ChangeSet()
    ) {
        self.tid = tid
        self.id = id
        self.user = user
        self.note = note
        self.metadata = metadata
        self.changes = changes
        self.moves = moves
    }
}
