/// What one or several transactions changed, by object.
struct ChangeSet: Equatable, Sendable {
    /// What changed of one object.
    struct Parts: Equatable, Sendable {
        var state = false
        var blocks: [Int] = []
        var entries: [[UInt8]] = []
    }

    private(set) var objects: [OID: Parts] = [:]
    /// Objects that were removed. Known only of what the log says of moves.
    private(set) var removed: Set<OID> = []

    var isEmpty: Bool { objects.isEmpty }

    mutating func insert(_ key: RecordKey) {
        if key.subkey.isEmpty {
            objects[key.oid, default: Parts()].state = true
        } else if let block = key.block {
            objects[key.oid, default: Parts()].blocks.append(block)
        } else {
            objects[key.oid, default: Parts()].entries.append(key.subkey)
        }
    }

    mutating func formUnion(_ other: ChangeSet) {
        for (oid, parts) in other.objects {
            var mine = objects[oid] ?? Parts()
            mine.state = mine.state || parts.state
            mine.blocks += parts.blocks
            mine.entries += parts.entries
            objects[oid] = mine
        }
    }

    /// Adds what lies elsewhere now, and which objects were removed: of those it has the state.
    mutating func formUnion(moves: ChangeSet) {
        formUnion(moves)
        for (oid, parts) in moves.objects where parts.state { removed.insert(oid) }
    }

    /// Its keys in order, as the log wants them.
    func encode(into writer: inout ByteWriter) {
        var changes = ChangeWriter()
        for (oid, parts) in objects.sorted(by: { $0.key < $1.key }) {
            if parts.state { changes.insert(RecordKey(oid)) }
            for block in Set(parts.blocks).sorted() { changes.insert(RecordKey(oid, block: block)) }
            for entry in parts.entries.sorted(by: { $0.precedes($1) }) {
                changes.insert(RecordKey(oid, entry))
            }
        }
        writer.raw(changes.finish())
    }

    init() {}

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// More blocks or objects than this in one transaction are damage.
    private static let most = 1 << 26

    /// Reads to the end of the input what ``ChangeWriter`` wrote.
    init(decoding reader: inout ByteReader) throws(ByteReader.Malformed) {
        var oid: UInt64 = 0
        var total = 0
        while !reader.isAtEnd {
            oid = oid &+ (try reader.number())
            let flags = ChangeWriter.Flags(rawValue: try reader.byte())
            var parts = Parts()
            parts.state = flags.contains(.state)
            if flags.contains(.blocks) { parts.blocks = try Self.blocks(&reader, &total) }
            if flags.contains(.entries) { parts.entries = try Self.entries(&reader) }
            objects[OID(rawValue: oid)] = parts
            if flags.contains(.run) {
                let count = try reader.number()
                guard count <= UInt64(Self.most - total) else { throw ByteReader.Malformed() }
                total += Int(count)
                for _ in 0..<count {
                    oid = oid &+ 1
                    objects[OID(rawValue: oid)] = parts
                }
            }
        }
    }

    private static func blocks(_ reader: inout ByteReader, _ total: inout Int) throws(ByteReader.Malformed)
        -> [Int]
    {
        var blocks: [Int] = []
        var next = 0
        for _ in 0..<(try reader.count()) {
            let gap = try reader.number()
            let count = try reader.number()
            guard gap < 1 << RecordKey.blockBits, count <= most - total else { throw ByteReader.Malformed() }
            next += Int(gap)
            total += Int(count)
            guard next < 1 << RecordKey.blockBits else { throw ByteReader.Malformed() }
            blocks += Array(next..<(next + Int(count)))
            next += Int(count)
        }
        return blocks
    }

    private static func entries(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> [[UInt8]] {
        var entries: [[UInt8]] = []
        var last: [UInt8] = []
        for _ in 0..<(try reader.count()) {
            let shared = try reader.number()
            guard shared <= UInt64(last.count) else { throw ByteReader.Malformed() }
            last = Array(last[..<Int(shared)]) + (try reader.counted())
            entries.append(last)
        }
        return entries
    }
}
