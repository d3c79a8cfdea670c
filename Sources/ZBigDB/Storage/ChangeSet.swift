/// What one or several transactions changed, by object.
struct ChangeSet: Equatable, Sendable {
    /// What changed of one object.
    struct Parts: Equatable, Sendable {
        var state = false
        var blocks: [Int] = []
        var entries: [[UInt8]] = []
    }

    private(set) var objects: [OID: Parts] = [:]

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

    // Encoding: objects ascending, as differences; blocks as runs, as differences.

    func encode(into writer: inout ByteWriter) {
        writer.number(UInt64(objects.count))
        var previous: UInt64 = 0
        for (oid, parts) in objects.sorted(by: { $0.key < $1.key }) {
            writer.number(oid.rawValue &- previous)
            previous = oid.rawValue
            writer.byte(
                (parts.state ? 1 : 0) | (parts.blocks.isEmpty ? 0 : 2) | (parts.entries.isEmpty ? 0 : 4))
            if !parts.blocks.isEmpty { encodeRuns(parts.blocks, into: &writer) }
            if !parts.entries.isEmpty {
                writer.number(UInt64(parts.entries.count))
                for entry in parts.entries { writer.counted(entry) }
            }
        }
    }

    private func encodeRuns(_ blocks: [Int], into writer: inout ByteWriter) {
        var runs: [(start: Int, count: Int)] = []
        for block in Set(blocks).sorted() {
            if let last = runs.last, last.start + last.count == block {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((block, 1))
            }
        }
        writer.number(UInt64(runs.count))
        var previous = 0
        for run in runs {
            writer.number(UInt64(run.start - previous))
            writer.number(UInt64(run.count))
            previous = run.start + run.count
        }
    }

    init() {}

    /// More blocks than address space can hold in one transaction are damage.
    private static let mostBlocks = 1 << 26

    init(decoding reader: inout ByteReader) throws(ByteReader.Malformed) {
        var oid: UInt64 = 0
        var total = 0
        for _ in 0..<(try reader.count()) {
            oid = oid &+ (try reader.number())
            let flags = try reader.byte()
            var parts = Parts()
            parts.state = flags & 1 != 0
            if flags & 2 != 0 {
                var next = 0
                for _ in 0..<(try reader.count()) {
                    let gap = try reader.number()
                    let count = try reader.number()
                    guard gap < 1 << RecordKey.blockBits, count <= Self.mostBlocks - total else {
                        throw ByteReader.Malformed()
                    }
                    next += Int(gap)
                    total += Int(count)
                    guard next < 1 << RecordKey.blockBits else { throw ByteReader.Malformed() }
                    parts.blocks += Array(next..<(next + Int(count)))
                    next += Int(count)
                }
            }
            if flags & 4 != 0 {
                for _ in 0..<(try reader.count()) { parts.entries.append(try reader.counted()) }
            }
            objects[OID(rawValue: oid)] = parts
        }
    }
}
