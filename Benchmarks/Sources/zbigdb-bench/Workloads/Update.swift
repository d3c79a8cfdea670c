import BenchReport
import CKernels
import Foundation
import ZBigDB

/// Durable transactions of one random element each.
enum Update {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let small = setup.folder + "/small.lmdb"
        let path = system == "raw-lmdb-4KiB" ? small : setup.path(of: system)
        if path == small { removeFile(small) }
        let places = RandomChanges.places(setup.transactions, of: setup.count)
        let before = fileSize(path)
        let seconds =
            switch system {
            case "raw-lmdb-4KiB": try commitRecords(path, places)
            case "raw-lmdb": try rewriteBlocks(path, places)
            case "plain-pwrite", "plain-mmap": try writePlain(path, places)
            default: try update(path, places)
            }
        let growth = Double(max(0, fileSize(path) - before))
        if path == small { removeFile(small) }
        return [
            Measurement(
                system, "update", seconds: seconds, operations: places.count,
                extra: [
                    "growth_bytes": .number(growth),
                    "growth_bytes_per_update": .number(growth / Double(places.count)),
                ])
        ]
    }

    private static func update(_ path: String, _ places: [Int]) throws -> Double {
        let database = try Database(path)
        let connection = try database.connect()
        let view = try connection.root.array("a").view(as: Double.self)
        let (_, seconds) = try timed {
            for place in places {
                view[place] = RandomChanges.value
                try connection.commit()
            }
        }
        try connection.close()
        try database.close()
        return seconds
    }

    private static func rewriteBlocks(_ path: String, _ places: [Int]) throws -> Double {
        let lmdb = try RawLMDB(path)
        let perBlock = RawLMDB.blockBytes / 8
        return try timed {
            for place in places {
                try lmdb.transaction(write: true) { txn in
                    try lmdb.rewrite(txn, place / perBlock) {
                        $0.storeBytes(
                            of: RandomChanges.value, toByteOffset: place % perBlock * 8, as: Double.self)
                    }
                }
            }
        }.1
    }

    /// One record of 4 KiB each: what a database can hope for that stores pages.
    private static func commitRecords(_ path: String, _ places: [Int]) throws -> Double {
        let lmdb = try RawLMDB(path, create: true)
        return try timed {
            for place in places {
                try lmdb.transaction(write: true) { txn in
                    let target = try lmdb.reserve(txn, place % 10_000, 4096)
                    target.initializeMemory(as: UInt8.self, repeating: 1, count: 4096)
                }
            }
        }.1
    }

    /// No transactions at all, but durable.
    private static func writePlain(_ path: String, _ places: [Int]) throws -> Double {
        try PlainFile.writing(path) { write, sync in
            try timed {
                for place in places {
                    try withUnsafeBytes(of: RandomChanges.value) { try write($0, place * 8) }
                    try sync()
                }
            }.1
        }
    }
}
