import BenchReport
import CKernels
import Foundation
import ZBigDB

/// A small object: a text, a number, a real number.
final class SmallObject: Persistent {
    @Persisted var name = ""
    @Persisted var number = 0
    @Persisted var rate = 0.0
    override class var className: String { "bench.SmallObject" }

    convenience init(_ number: Int) {
        self.init()
        name = "object \(number)"
        self.number = number
        rate = Double(number) / 2
    }
}

/// 1000 durable commits of one small object each, one commit of 100,000, and as many random reads
/// in a fresh process. LMDB stores values of the same size under 8-byte keys.
enum SmallObjects {
    private static let commits = 1000
    private static let count = 100_000
    /// About what an object's record takes.
    private static let valueBytes = 64

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.folder + "/objects-" + system
        func result(_ name: String, _ operations: Int, _ seconds: Double) -> Measurement {
            Measurement(
                system, "objects", seconds: seconds, operations: operations, params: ["case": .text(name)])
        }
        if setup.phase == "read" {
            PageCache.warm(path)
            let seconds = try system == "zbigdb" ? readObjects(path) : readValues(path)
            removeFile(path)
            return [result("read", count, seconds)]
        }
        removeFile(path)
        let seconds = try system == "zbigdb" ? writeObjects(path) : writeValues(path)
        return [result("commit", commits, seconds.commits), result("bulk", count, seconds.bulk)]
    }

    private static func writeObjects(_ path: String) throws -> (commits: Double, bulk: Double) {
        let database = try Database(path, create: true)
        let connection = try database.connect()
        let single = SmallObject(0)
        try connection.add(single)
        try connection.commit()
        let (_, small) = try timed {
            for number in 0..<commits {
                single.number = number
                try connection.commit()
            }
        }
        // The last object has the highest number: all are found from it.
        let (_, bulk) = try timed {
            for number in 0..<count { try connection.add(SmallObject(number)) }
            try connection.commit()
        }
        let last = SmallObject(-1)
        try connection.root.set("last", last)
        try connection.commit()
        try connection.close()
        try database.close()
        return (small, bulk)
    }

    private static func readObjects(_ path: String) throws -> Double {
        let database = try Database(path)
        let connection = try database.connect()
        guard let last = try connection.root.object("last", as: SmallObject.self)?.oid?.rawValue else {
            throw BenchError("the last object is missing")
        }
        var state = RandomRead.seed
        var sum = 0
        let (_, seconds) = try timed {
            for _ in 0..<count {
                let oid = OID(rawValue: last - 1 - kernels_next(&state) % UInt64(count))
                sum += try connection.object(oid, as: SmallObject.self).number
            }
        }
        guard sum > 0 else { throw BenchError("the objects are empty") }
        try connection.close()
        try database.close()
        return seconds
    }

    private static func writeValues(_ path: String) throws -> (commits: Double, bulk: Double) {
        let lmdb = try RawLMDB(path, create: true)
        func put(_ txn: OpaquePointer, _ number: Int) throws {
            let target = try lmdb.reserve(txn, number, valueBytes)
            target.initializeMemory(
                as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number), count: valueBytes)
        }
        let (_, small) = try timed {
            for _ in 0..<commits { try lmdb.transaction(write: true) { try put($0, count) } }
        }
        let (_, bulk) = try timed {
            try lmdb.transaction(write: true) { txn in
                for number in 0..<count { try put(txn, number) }
            }
        }
        return (small, bulk)
    }

    private static func readValues(_ path: String) throws -> Double {
        let lmdb = try RawLMDB(path)
        var state = RandomRead.seed
        var sum = 0
        let (_, seconds) = try timed {
            try lmdb.transaction(write: false) { txn in
                for _ in 0..<count {
                    sum += Int(try lmdb.get(txn, Int(kernels_next(&state) % UInt64(count)))[0])
                }
            }
        }
        guard sum > 0 else { throw BenchError("the values are empty") }
        return seconds
    }
}
