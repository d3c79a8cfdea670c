import CKernels
import Foundation
import Synchronization
import ZBigDB

/// Aborting a transaction that dirtied every block.
enum Abort {
    static func measure(_ setup: Setup) throws -> [Measurement] {
        let database = try Database(setup.databasePath)
        let connection = try database.connect()
        let view = try connection.root.array("a").view(as: Double.self)
        let perBlock = RawLMDB.blockBytes / 8
        let blocks = setup.count / perBlock
        for block in 0..<blocks { view[block * perBlock + 5] = -1 }
        let (_, seconds) = try timed { try connection.abort() }
        for block in 0..<blocks where view[block * perBlock + 5] != Double(block * perBlock + 5) * 0.5 {
            throw BenchError("block \(block) kept an aborted change")
        }
        try connection.close()
        return [
            Measurement(
                "zbigdb", "abort", seconds: seconds, operations: blocks,
                extra: ["dirty_blocks": .number(Double(blocks)), "ms": .number(seconds * 1000)])
        ]
    }
}

/// Memory of a process that scanned the whole array through four connections.
enum ResidentMemory {
    static func measure(_ setup: Setup) throws -> [Measurement] {
        let database = try Database(setup.databasePath)
        let before = memory()
        let start = now()
        // All connections stay open until the end; each belongs to one thread.
        let ready = DispatchSemaphore(value: 0)
        let leave = DispatchSemaphore(value: 0)
        let failures = Mutex<[String]>([])
        for _ in 0..<4 {
            Thread.detachNewThread {
                do {
                    let connection = try database.connect()
                    let view = try connection.root.array("a").view(as: Double.self)
                    try view.withUnsafeBufferPointer { elements in
                        if let base = elements.baseAddress { _ = kernels_sum(base, elements.count) }
                    }
                    ready.signal()
                    leave.wait()
                    try connection.close()
                } catch {
                    failures.withLock { $0.append("\(error)") }
                    ready.signal()
                }
                ready.signal()
            }
        }
        for _ in 0..<4 { ready.wait() }
        let seconds = now() - start
        let after = memory()
        for _ in 0..<4 { leave.signal() }
        for _ in 0..<4 { ready.wait() }
        if let failure = failures.withLock({ $0.first }) { throw BenchError(failure) }
        return [
            Measurement(
                "zbigdb", "rss", seconds: seconds, bytes: 4 * setup.bytes,
                extra: [
                    "anonymous_MiB": .number(Double(after.anonymous - before.anonymous) / 1024),
                    "file_MiB": .number(Double(after.file - before.file) / 1024),
                    "shmem_MiB": .number(Double(after.shmem - before.shmem) / 1024),
                ])
        ]
    }

    /// KiB of resident memory, by kind.
    private static func memory() -> (anonymous: Int, file: Int, shmem: Int) {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        func field(_ name: String) -> Int {
            for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
                return Int(line.filter(\.isNumber)) ?? 0
            }
            return 0
        }
        return (field("RssAnon"), field("RssFile"), field("RssShmem"))
    }
}
