import BenchReport
import Foundation
import Synchronization
import ZBigDB

/// Durable commits of small objects, each writer in a thread with a connection and an object of its own: what
/// is gained by commits that share a flush. LMDB lets one writer at a time commit.
enum ManyWriters {
    private static let commits = 2000

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        try [1, 8].map { writers in
            let path = setup.folder + "/writers-\(system)"
            removeFile(path)
            defer { removeFile(path) }
            let seconds = try system == "zbigdb" ? objects(path, writers) : values(path, writers)
            return Measurement(
                system, "writers", seconds: seconds, operations: commits,
                params: ["writers": .number(Double(writers))])
        }
    }

    private static func objects(_ path: String, _ writers: Int) throws -> Double {
        let database = try Database(path, create: true)
        let connections = try (0..<writers).map { writer in
            let connection = try database.connect()
            try connection.root.set("object \(writer)", SmallObject(writer))
            try connection.commit()
            return connection
        }
        let seconds = try inThreads(writers) { writer in
            let connection = try database.connect()
            try connection.begin()
            guard let object = try connection.root.object("object \(writer)", as: SmallObject.self) else {
                throw BenchError("an object is missing")
            }
            for number in 0..<(commits / writers) {
                object.number = number
                try connection.commit()
            }
            try connection.close()
        }
        for connection in connections { try connection.close() }
        try database.close()
        return seconds
    }

    private static func values(_ path: String, _ writers: Int) throws -> Double {
        let lmdb = Shared(try RawLMDB(path, create: true))
        return try inThreads(writers) { writer in
            for number in 0..<(commits / writers) {
                try lmdb.value.transaction(write: true) { txn in
                    _ = try lmdb.value.reserve(txn, writer, 64).initializeMemory(
                        as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number), count: 64)
                }
            }
        }
    }

    /// LMDB's environment may be used by many threads.
    private struct Shared: @unchecked Sendable {
        let value: RawLMDB
        init(_ value: RawLMDB) { self.value = value }
    }

    /// Seconds until all threads are done.
    private static func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws
        -> Double
    {
        let failures = Failures()
        let group = DispatchGroup()
        let (_, seconds) = timed {
            for number in 0..<count {
                group.enter()
                Thread.detachNewThread {
                    defer { group.leave() }
                    do { try body(number) } catch { failures.all.withLock { $0.append("\(error)") } }
                }
            }
            group.wait()
        }
        if let failure = failures.all.withLock({ $0.first }) { throw BenchError(failure) }
        return seconds
    }

    private final class Failures: Sendable {
        let all = Mutex<[String]>([])
    }
}
