import BenchReport
import CKernels
import Foundation
import ZBigDB

/// The sum of all elements in order: first touch, then once more.
enum Scan {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let passes = try self.passes(system, setup)
        try check(passes, system, setup, changed: [])
        return zip(["scan", "scan2"], passes).map { name, pass in
            Measurement(
                system, name, seconds: pass.seconds, bytes: setup.bytes,
                params: ["cold": .flag(setup.isCold)])
        }
    }

    /// The first touch of an array that many small transactions changed.
    static func measureAfterUpdates(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let passes = try self.passes(system, setup)
        let places = RandomChanges.places(setup.transactions, of: setup.count)
        try check(passes, system, setup, changed: places)
        return passes.prefix(1).map { pass in
            Measurement(
                system, "scan", seconds: pass.seconds, bytes: setup.bytes,
                params: ["cold": .flag(setup.isCold), "after_updates": .number(Double(places.count))])
        }
    }

    private typealias Pass = (sum: Double, seconds: Double)

    private static func check(_ passes: [Pass], _ system: String, _ setup: Setup, changed: [Int]) throws {
        let count = Double(setup.count)
        let expected = count * (count - 1) / 4 + RandomChanges.difference(changed)
        for pass in passes where abs(pass.sum - expected) > expected * 1e-9 {
            throw BenchError("\(system) read something else than was written: \(pass.sum), not \(expected)")
        }
    }

    private static func passes(_ system: String, _ setup: Setup) throws -> [Pass] {
        switch system {
        case "plain-mmap":
            try PlainFile.withElements(setup.plainPath) { elements, count in
                twice { kernels_sum(elements, count) }
            }
        case "plain-read": try twice { try PlainFile.sumByReading(setup.plainPath) }
        case "raw-lmdb": try lmdb(setup)
        case _ where Seam.streaming.contains(system):
            try withBigArray(setup) { array in try twice { try Seam.streamingSum(array) } }
        default:
            try withElements(setup, mapped: system != "zbigdb-loadblk") { elements, making in
                guard let base = elements.baseAddress else { return [] }
                return zip(twice { kernels_sum(base, elements.count) }, [making, 0]).map { pass, making in
                    (pass.sum, pass.seconds + making)
                }
            }
        }
    }

    private static func lmdb(_ setup: Setup) throws -> [Pass] {
        let lmdb = try RawLMDB(setup.lmdbPath)
        return try twice {
            try lmdb.transaction(write: false) { txn in
                var sum = 0.0
                for block in 0..<setup.blocks {
                    let value = try lmdb.get(txn, block)
                    guard let base = value.baseAddress else { continue }
                    sum += kernels_sum(base.assumingMemoryBound(to: Double.self), value.count / 8)
                }
                return sum
            }
        }
    }

    private static func twice(_ body: () throws -> Double) rethrows -> [Pass] {
        try (0..<2).map { _ in
            let (sum, seconds) = try timed(body)
            return (sum, seconds)
        }
    }
}
