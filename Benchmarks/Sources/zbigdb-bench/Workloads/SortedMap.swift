import BenchReport
import CKernels
import Foundation
import ZBigDB

/// A map of a million integers: filled in random order in ten commits, 100,000 random look-ups, and a walk
/// over all entries, the latter two in a fresh process.
enum SortedMap {
    private static let count = 1_000_000
    private static let commits = 10
    private static let lookUpCount = 100_000

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.folder + "/map-" + system
        func result(_ name: String, _ operations: Int, _ seconds: Double) -> Measurement {
            Measurement(
                system, "map", seconds: seconds, operations: operations, params: ["case": .text(name)])
        }
        if setup.phase == "read" {
            PageCache.warm(path)
            let found = try system == "zbigdb" ? readMap(path) : readValues(path)
            removeFile(path)
            guard found.entries == count else {
                throw BenchError("\(found.entries) entries instead of \(count)")
            }
            return [result("get", lookUpCount, found.lookUps), result("scan", count, found.scan)]
        }
        removeFile(path)
        return [result("insert", count, try system == "zbigdb" ? fillMap(path) : fillValues(path))]
    }

    /// Every number below a million once, in an order that looks random.
    private static func key(_ index: Int) -> Int { (index * 387_713 + 12_345) % count }

    private static func fillMap(_ path: String) throws -> Double {
        let database = try Database(path, create: true)
        let connection = try database.connect()
        let map = PersistentMap<Int, Int>()
        try connection.root.set("map", map)
        try connection.commit()
        let (_, seconds) = try timed {
            for part in 0..<commits {
                for index in (part * count / commits)..<((part + 1) * count / commits) {
                    try map.updateValue(index, forKey: key(index))
                }
                try connection.commit()
            }
        }
        try connection.close()
        try database.close()
        return seconds
    }

    private static func readMap(_ path: String) throws -> (lookUps: Double, scan: Double, entries: Int) {
        let database = try Database(path)
        let connection = try database.connect()
        guard let map = try connection.root.object("map", as: PersistentMap<Int, Int>.self) else {
            throw BenchError("the map is missing")
        }
        var state = RandomRead.seed
        var sum = 0
        let (_, lookUps) = try timed {
            for _ in 0..<lookUpCount { sum &+= try map[Int(kernels_next(&state) % UInt64(count))] ?? 0 }
        }
        var entries = 0
        let (_, scan) = try timed {
            try map.forEach { key, value in
                sum &+= key &+ value
                entries += 1
            }
        }
        guard sum != 0 else { throw BenchError("the map is empty") }
        try connection.close()
        try database.close()
        return (lookUps, scan, entries)
    }

    private static func fillValues(_ path: String) throws -> Double {
        let lmdb = try RawLMDB(path, create: true)
        return try timed {
            for part in 0..<commits {
                try lmdb.transaction(write: true) { txn in
                    for index in (part * count / commits)..<((part + 1) * count / commits) {
                        try lmdb.reserve(txn, key(index), 8).storeBytes(of: index, as: Int.self)
                    }
                }
            }
        }.1
    }

    private static func readValues(_ path: String) throws -> (lookUps: Double, scan: Double, entries: Int) {
        let lmdb = try RawLMDB(path)
        var state = RandomRead.seed
        var sum = 0
        var entries = 0
        let (_, lookUps) = try timed {
            try lmdb.transaction(write: false) { txn in
                for _ in 0..<lookUpCount {
                    sum &+= try lmdb.get(txn, Int(kernels_next(&state) % UInt64(count))).loadUnaligned(
                        as: Int.self)
                }
            }
        }
        let (_, scan) = try timed {
            try lmdb.transaction(write: false) { txn in
                try lmdb.forEach(txn) { key, value in
                    sum &+= Int(UInt64(bigEndian: key.loadUnaligned(as: UInt64.self)))
                    sum &+= value.loadUnaligned(as: Int.self)
                    entries += 1
                }
            }
        }
        guard sum != 0 else { throw BenchError("the values are empty") }
        return (lookUps, scan, entries)
    }
}
