import BenchReport
import Foundation
import ZBigDB

/// A reader on an old snapshot while a writer changes every block: what the reader sees,
/// before and after it moves on, is checked; what it costs is measured.
enum MultiVersion {
    private static let perBlock = RawLMDB.blockBytes / 8
    /// The element of each block that is changed and looked at.
    private static let at = 7
    private static let holes = 16

    private static func old(_ block: Int) -> Double { Double(block * perBlock + at) * 0.5 }
    private static func new(_ block: Int) -> Double { -1 - Double(block) }

    /// The seconds of each step.
    private struct Times {
        var write = 0.0
        var readOld = 0.0
        var boundary = 0.0
        var readNew = 0.0
    }

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.path(of: system)
        let before = fileSize(path)
        let times = try system == "zbigdb" ? connections(path, setup.blocks) : lmdb(path, setup.blocks)
        let growth = Double(max(0, fileSize(path) - before))
        func line(_ name: String, _ seconds: Double, _ operations: Int) -> Measurement {
            Measurement(
                system, "mvcc", seconds: seconds, operations: operations, params: ["case": .text(name)],
                extra: ["blocks": .number(Double(setup.blocks))])
        }
        var write = line("write", times.write, setup.blocks)
        write.extra["growth_bytes"] = .number(growth)
        return [
            write, line("read-old", times.readOld, setup.blocks), line("boundary", times.boundary, 1),
            line("read-new", times.readNew, setup.blocks),
        ]
    }

    private static func expect(_ found: Double, _ expected: Double, _ what: String) throws {
        if found != expected { throw BenchError("\(what): \(found), not \(expected)") }
    }

    private static func connections(_ path: String, _ blocks: Int) throws -> Times {
        var times = Times()
        let database = try Database(path)
        let writer = try database.connect()
        _ = try writer.createArray("holes", shape: [holes * perBlock], of: Double.self)
        try writer.commit()
        let reader = try database.connect()
        let seen = try reader.root.array("a").view(as: Double.self)
        let seenHoles = try reader.root.array("holes").view(as: Double.self)
        func check(_ block: Int, _ value: (Int) -> Double, _ when: String) throws {
            try expect(seen[block * perBlock + at], value(block), "block \(block) \(when)")
        }
        func checkHole(_ hole: Int, _ value: Double, _ when: String) throws {
            try expect(seenHoles[hole * perBlock + at], value, "hole \(hole) \(when)")
        }
        // Every other block is loaded before it changes elsewhere, the rest after.
        for block in stride(from: 0, to: blocks, by: 2) { try check(block, old, "before the change") }
        for hole in stride(from: 0, to: holes, by: 2) { try checkHole(hole, 0, "before the change") }

        let changing = try writer.root.array("a").view(as: Double.self)
        let filling = try writer.root.array("holes").view(as: Double.self)
        times.write = try timed {
            for block in 0..<blocks { changing[block * perBlock + at] = new(block) }
            for hole in 0..<holes { filling[hole * perBlock + at] = 1 }
            try writer.commit()
        }.1
        times.readOld = try timed {
            for block in 0..<blocks { try check(block, old, "on the old snapshot") }
        }.1
        for hole in 0..<holes { try checkHole(hole, 0, "on the old snapshot") }
        times.boundary = try timed { try reader.begin() }.1
        times.readNew = try timed {
            for block in 0..<blocks { try check(block, new, "after the boundary") }
        }.1
        for hole in 0..<holes { try checkHole(hole, 1, "after the boundary") }
        try reader.close()
        try writer.close()
        try database.close()
        return times
    }

    private static func lmdb(_ path: String, _ blocks: Int) throws -> Times {
        var times = Times()
        let lmdb = try RawLMDB(path)
        func look(_ txn: OpaquePointer, _ value: (Int) -> Double, _ when: String) throws {
            for block in 0..<blocks {
                let found = try lmdb.get(txn, block).loadUnaligned(fromByteOffset: at * 8, as: Double.self)
                try expect(found, value(block), "value \(block) \(when)")
            }
        }
        let reader = try lmdb.begin(write: false)
        times.write = try timed {
            try lmdb.transaction(write: true) { txn in
                for block in 0..<blocks {
                    try lmdb.rewrite(txn, block) {
                        $0.storeBytes(of: new(block), toByteOffset: at * 8, as: Double.self)
                    }
                }
            }
        }.1
        times.readOld = try timed { try look(reader, old, "on the old snapshot") }.1
        times.boundary = try timed { try lmdb.renew(reader) }.1
        times.readNew = try timed { try look(reader, new, "after the boundary") }.1
        lmdb.abort(reader)
        return times
    }
}
