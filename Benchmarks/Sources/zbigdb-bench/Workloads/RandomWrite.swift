import BenchReport
import Foundation
import ZBigDB

/// Many random elements changed in one transaction, and its commit: how much is written
/// for the pages that changed.
enum RandomWrite {
    static let writes = 10_000

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.path(of: system)
        let places = RandomChanges.places(writes, of: setup.count)
        let before = fileSize(path)
        // What was written before must not be counted here.
        sync()
        let accountedBefore = ProcessFacts.writtenBytes()
        let diskBefore = ProcessFacts.deviceWrittenBytes(path)
        let seconds =
            switch system {
            case "raw-lmdb": try rewriteBlocks(path, places)
            case "plain-mmap":
                try timed {
                    try PlainFile.changingElements(path) { elements in
                        for place in places { elements[place] = RandomChanges.value }
                    }
                }.1
            case "plain-pwrite": try writePlain(path, places)
            default: try change(path, places)
            }
        let accounted = ProcessFacts.writtenBytes() - accountedBefore
        // The kernel accounts for a large page-cache folio as a whole; the disk knows better, but it
        // counts what others write, too.
        let disk = diskBefore.flatMap { before in
            ProcessFacts.deviceWrittenBytes(path).map { $0 - before }
        }
        let pages = Double(Set(places.map { $0 / 512 }).count)
        return [
            Measurement(
                system, "randwrite", seconds: seconds, operations: writes,
                extra: [
                    "changed_pages": .number(pages), "accounted_bytes": .number(Double(accounted)),
                    "written_bytes": .number(Double(disk ?? accounted)),
                    "written_per_changed_page": .number(Double(disk ?? accounted) / pages / 4096),
                    "growth_bytes": .number(Double(max(0, fileSize(path) - before))),
                ])
        ]
    }

    private static func change(_ path: String, _ places: [Int]) throws -> Double {
        let database = try Database(path)
        let connection = try database.connect()
        let view = try connection.root.array("a").view(as: Double.self)
        let (_, seconds) = try timed {
            for place in places { view[place] = RandomChanges.value }
            try connection.commit()
        }
        try connection.close()
        try database.close()
        return seconds
    }

    /// Whole values of 2 MiB, each once.
    private static func rewriteBlocks(_ path: String, _ places: [Int]) throws -> Double {
        let lmdb = try RawLMDB(path)
        let perBlock = RawLMDB.blockBytes / 8
        return try timed {
            let blocks = Dictionary(grouping: places) { $0 / perBlock }.sorted { $0.key < $1.key }
            try lmdb.transaction(write: true) { txn in
                for (block, places) in blocks {
                    try lmdb.rewrite(txn, block) { target in
                        for place in places {
                            target.storeBytes(
                                of: RandomChanges.value, toByteOffset: place % perBlock * 8, as: Double.self)
                        }
                    }
                }
            }
        }.1
    }

    private static func writePlain(_ path: String, _ places: [Int]) throws -> Double {
        try PlainFile.writing(path) { write, sync in
            try timed {
                for place in places {
                    try withUnsafeBytes(of: RandomChanges.value) { try write($0, place * 8) }
                }
                try sync()
            }.1
        }
    }
}
