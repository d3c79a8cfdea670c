/// What the journal says about the state it continues (FORMAT.md).
///
/// There are two, written in turn, so that one is whole at any moment; the one with the greater
/// sequence number counts.
struct JournalHeader: Equatable, Sendable {
    static let signature = Array("ZBigJrnl".utf8)
    static let version: UInt32 = 1

    /// LMDB's page 0 or 1 at the checkpoint, as far as it is used.
    struct Checkpoint: Equatable, Sendable {
        let meta: [UInt8]
        /// Of the root page of LMDB's main tree, which no two states have in common.
        let rootChecksum: UInt32
    }

    let sequence: UInt64
    /// The state that the entries continue; nil if there are none, and the database file is complete by itself.
    let checkpoint: Checkpoint?

    func encoded() -> [UInt8] {
        var body = ByteWriter()
        body.raw(Self.signature)
        body.integer(Self.version)
        body.integer(sequence)
        body.integer(checkpoint?.rootChecksum ?? 0)
        body.counted(checkpoint?.meta ?? [])
        var writer = ByteWriter()
        writer.integer(CRC32C.checksum(body.bytes))
        writer.counted(body.bytes)
        return writer.bytes
    }

    /// So many bytes have the sequence number.
    static let beginning = 64

    /// The sequence number a header begins with, unchecked; nil if there is none.
    static func sequence(in beginning: [UInt8]) -> UInt64? {
        var reader = ByteReader(beginning)
        do throws(ByteReader.Malformed) {
            _ = try reader.integer(UInt32.self)
            _ = try reader.number()
            guard try reader.raw(signature.count) == signature else { return nil }
            _ = try reader.integer(UInt32.self)
            return try reader.integer(UInt64.self)
        } catch {
            return nil
        }
    }

    init(sequence: UInt64, checkpoint: Checkpoint?) {
        self.sequence = sequence
        self.checkpoint = checkpoint
    }

    init(decoding bytes: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(bytes)
        let checksum = try reader.integer(UInt32.self)
        let body = try reader.counted()
        guard CRC32C.checksum(body) == checksum else { throw ByteReader.Malformed() }
        reader = ByteReader(body)
        guard try reader.raw(Self.signature.count) == Self.signature,
            try reader.integer(UInt32.self) == Self.version
        else { throw ByteReader.Malformed() }
        sequence = try reader.integer()
        let rootChecksum = try reader.integer(UInt32.self)
        let meta = try reader.counted()
        checkpoint = meta.isEmpty ? nil : Checkpoint(meta: meta, rootChecksum: rootChecksum)
    }
}
