import BenchReport
import CKernels
import Foundation
import ZBigDB

/// Opens the array that `create` wrote.
func withBigArray<R>(_ setup: Setup, mapped: Bool = true, _ body: (BigArray) throws -> R) throws -> R {
    var configuration = Database.Configuration()
    configuration.mapsBlocks = mapped
    let database = try Database(setup.databasePath, configuration: configuration)
    let connection = try database.connect()
    let result = try body(connection.root.array("a"))
    try connection.close()
    return result
}

/// A view of all its elements.
func withArray<R>(_ setup: Setup, mapped: Bool = true, _ body: (ArrayView<Double>) throws -> R) throws -> R {
    try withBigArray(setup, mapped: mapped) { try body($0.view(as: Double.self)) }
}

/// The elements through a new view, and the seconds that making it took: it maps blocks already, which belongs to the
/// time of whatever touches them first.
func withElements<R>(
    _ setup: Setup, mapped: Bool = true, _ body: (UnsafeMutableBufferPointer<Double>, Double) throws -> R
) throws -> R {
    try withBigArray(setup, mapped: mapped) { array in
        let (view, seconds) = try timed { try array.view(as: Double.self) }
        return try view.withUnsafeBufferPointer { try body($0, seconds) }
    }
}

/// Random single elements, first touch and once mapped.
enum RandomRead {
    static let reads = 100_000
    static let seed: UInt64 = 88_172_645_463_325_252

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let passes: [Double]
        switch system {
        case "plain-mmap":
            passes = try PlainFile.withElements(setup.plainPath) { p, count in
                (0..<2).map { _ in timed { kernels_random(p, count, reads, seed) }.1 }
            }
        case "raw-lmdb":
            let lmdb = try RawLMDB(setup.lmdbPath)
            passes = try (0..<2).map { _ in try timed { try raw(lmdb, setup.count) }.1 }
        default:
            passes = try withElements(setup) { elements, making in
                guard let base = elements.baseAddress else { return [] }
                return [making, 0].map { $0 + timed { kernels_random(base, elements.count, reads, seed) }.1 }
            }
        }
        return zip(["first", "mapped"], passes).map { name, seconds in
            Measurement(
                system, "randread", seconds: seconds, operations: reads, params: ["case": .text(name)])
        }
    }

    private static func raw(_ lmdb: RawLMDB, _ count: Int) throws -> Double {
        try lmdb.transaction(write: false) { txn in
            var sum = 0.0
            var state = seed
            let perBlock = RawLMDB.blockBytes / 8
            for _ in 0..<reads {
                let at = Int(kernels_next(&state) % UInt64(count))
                let value = try lmdb.get(txn, at / perBlock)
                sum += value.loadUnaligned(fromByteOffset: at % perBlock * 8, as: Double.self)
            }
            return sum
        }
    }
}

/// One element of each block, blocks in random order.
enum FirstTouch {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let perBlock = RawLMDB.blockBytes / 8
        let blocks = setup.count / perBlock
        var state = RandomRead.seed
        var order = Array(0..<blocks)
        for index in order.indices.reversed() {
            order.swapAt(index, Int(kernels_next(&state) % UInt64(index + 1)))
        }
        func touch(_ base: UnsafePointer<Double>) -> Double { kernels_gather(base, places, places.count) }
        let places = order.map { UInt64($0 * perBlock) }
        let seconds: Double
        switch system {
        case "plain-mmap":
            seconds = try PlainFile.withElements(setup.plainPath) { p, _ in timed { touch(p) }.1 }
        case "raw-lmdb":
            let lmdb = try RawLMDB(setup.lmdbPath)
            seconds = try timed {
                try lmdb.transaction(write: false) { txn in
                    try order.reduce(0.0) {
                        $0 + (try lmdb.get(txn, $1)).loadUnaligned(as: Double.self)
                    }
                }
            }.1
        default:
            seconds = try withElements(setup, mapped: system == "zbigdb") { elements, making in
                guard let base = elements.baseAddress else { return 0 }
                return making + timed { touch(base) }.1
            }
        }
        return [
            Measurement(
                system, "firsttouch", seconds: seconds, operations: blocks,
                extra: ["us_per_block": .number(seconds / Double(blocks) * 1e6)])
        ]
    }
}
