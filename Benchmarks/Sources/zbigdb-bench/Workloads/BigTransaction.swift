import BenchReport
import CKernels
import Foundation
import ZBigDB

/// One transaction far larger than the memory it may keep its changes in: committed, then
/// the same aborted, then the file compacted.
enum BigTransaction {
    private static let pieceBytes = 64 << 20

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.folder + "/big-" + system
        removeFile(path)
        defer { removeFile(path) }
        return system == "raw-lmdb" ? try lmdb(path, setup) : try database(path, setup)
    }

    private static func line(
        _ system: String, _ setup: Setup, _ name: String, _ seconds: Double, _ sampler: MemorySampler,
        _ path: String
    ) -> Measurement {
        Measurement(
            system, "bigtxn", seconds: seconds, bytes: name == "compact" ? 0 : setup.bytes,
            params: ["case": .text(name)],
            extra: [
                "peak_anonymous_MiB": .number(sampler.takePeakMiB()),
                "file_bytes": .number(Double(fileSize(path))),
            ])
    }

    /// Calls `body` for each piece of the array: its first element and how many.
    private static func inPieces(_ setup: Setup, _ what: String, _ body: (Int, Int) throws -> Void) rethrows {
        let piece = pieceBytes / 8
        for start in stride(from: 0, to: setup.count, by: piece) {
            if start > 0, start % (1 << 27) == 0 { say("  \(what): \(start >> 27) GiB") }
            try body(start, min(piece, setup.count - start))
        }
    }

    private static func check(_ setup: Setup, _ when: String, _ element: (Int) throws -> Double) throws {
        var state = RandomRead.seed
        for _ in 0..<1000 {
            let place = Int(kernels_next(&state) % UInt64(setup.count))
            let found = try element(place)
            if found != Double(place) * 0.5 { throw BenchError("element \(place) is \(found) \(when)") }
        }
    }

    // MARK: ZBigDB

    private static func database(_ path: String, _ setup: Setup) throws -> [Measurement] {
        var configuration = Database.Configuration()
        configuration.dirtyBudget = setup.budgetBytes
        let database = try Database(path, create: true, configuration: configuration)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [setup.count], of: Double.self)
        try connection.commit()
        let sampler = MemorySampler()
        defer { sampler.stop() }

        func fill(_ shift: Int, _ what: String) throws {
            try inPieces(setup, what) { start, count in
                try array.withUnsafeMutableBytes(of: (start * 8)..<((start + count) * 8)) { bytes in
                    guard let base = bytes.baseAddress else { return }
                    kernels_fill(base.assumingMemoryBound(to: Double.self), start + shift, count)
                }
            }
        }
        var results: [Measurement] = []
        let committed = try timed {
            try fill(0, "committing")
            try connection.commit()
        }.1
        results.append(line("zbigdb", setup, "commit", committed, sampler, path))
        try check(setup, "after the commit") { try array.element($0, as: Double.self) }
        let aborted = try timed {
            try fill(1, "aborting")
            try connection.abort()
        }.1
        results.append(line("zbigdb", setup, "abort", aborted, sampler, path))
        try check(setup, "after the abort") { try array.element($0, as: Double.self) }
        try connection.close()
        try database.close()
        let compacting = try timed { try Database.rewrite(path) }.1
        results.append(line("zbigdb", setup, "compact", compacting, sampler, path))
        for index in results.indices {
            results[index].extra["budget_MiB"] = .number(Double(setup.budgetBytes >> 20))
        }
        return results
    }

    // MARK: LMDB, which keeps all of it in memory

    private static func lmdb(_ path: String, _ setup: Setup) throws -> [Measurement] {
        let lmdb = try RawLMDB(path, create: true)
        let sampler = MemorySampler()
        defer { sampler.stop() }
        let perBlock = RawLMDB.blockBytes / 8
        func fill(_ txn: OpaquePointer, _ shift: Int, _ what: String) throws {
            try inPieces(setup, what) { start, count in
                for first in stride(from: start, to: start + count, by: perBlock) {
                    let target = try lmdb.reserve(txn, first / perBlock, RawLMDB.blockBytes)
                    kernels_fill(target.assumingMemoryBound(to: Double.self), first + shift, perBlock)
                }
            }
        }
        let committed = try timed { try lmdb.transaction(write: true) { try fill($0, 0, "committing") } }.1
        var results = [line("raw-lmdb", setup, "commit", committed, sampler, path)]
        let aborted = try timed {
            let txn = try lmdb.begin(write: true)
            try fill(txn, 1, "aborting")
            lmdb.abort(txn)
        }.1
        results.append(line("raw-lmdb", setup, "abort", aborted, sampler, path))
        try lmdb.transaction(write: false) { txn in
            try check(setup, "after the abort") { place in
                try lmdb.get(txn, place / perBlock)
                    .loadUnaligned(fromByteOffset: place % perBlock * 8, as: Double.self)
            }
        }
        return results
    }
}
