import CKernels
import Foundation
import ZBigDB

/// 500 durable transactions of one random element each.
enum Update {
    static let transactions = 500

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path: String
        var state = RandomRead.seed
        let seconds: Double
        let before: Int
        switch system {
        case "raw-lmdb-4KiB":
            path = setup.folder + "/small.lmdb"
            let lmdb = try RawLMDB(path, create: true)
            before = fileSize(path)
            seconds = try timed {
                for _ in 0..<transactions {
                    let number = Int(kernels_next(&state) % 10_000)
                    try lmdb.transaction(write: true) { txn in
                        try lmdb.reserve(txn, number, 4096).initializeMemory(
                            as: UInt8.self, repeating: 1, count: 4096)
                    }
                }
            }.1
        case "raw-lmdb":
            if fileSize(setup.lmdbPath) < setup.bytes { _ = try Create.measure(system, setup) }
            path = setup.lmdbPath
            before = fileSize(path)
            let lmdb = try RawLMDB(path, create: true)
            let perBlock = RawLMDB.blockBytes / 8
            seconds = try timed {
                for _ in 0..<transactions {
                    let at = Int(kernels_next(&state) % UInt64(setup.count))
                    try lmdb.transaction(write: true) { txn in
                        let old = Array(try lmdb.get(txn, at / perBlock))
                        let target = try lmdb.reserve(txn, at / perBlock, RawLMDB.blockBytes)
                        target.copyMemory(from: old, byteCount: old.count)
                        target.storeBytes(of: -1.0, toByteOffset: at % perBlock * 8, as: Double.self)
                    }
                }
            }.1
        default:
            if fileSize(setup.databasePath) < setup.bytes { _ = try Create.measure(system, setup) }
            path = setup.databasePath
            before = fileSize(path)
            let database = try Database(path)
            let connection = try database.connect()
            let array = try connection.root.array("a")
            let view = try array.view(as: Double.self)
            seconds = try timed {
                for _ in 0..<transactions {
                    view[Int(kernels_next(&state) % UInt64(setup.count))] = -1
                    try connection.commit()
                }
            }.1
            try connection.close()
            try database.close()
            // What follows expects the elements that create wrote.
            unlink(path)
            unlink(path + "-lock")
        }
        return [
            Measurement(
                system, "update", seconds: seconds, operations: transactions,
                extra: ["growth_bytes": .number(Double(max(0, fileSize(path) - before)))])
        ]
    }
}

/// 500 durable transactions that append 64 KiB each.
enum Append {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let values = (0..<8192).map { Double($0) }
        let path = setup.folder + "/append-" + system
        unlink(path)
        unlink(path + "-lock")
        let seconds: Double
        if system == "zbigdb" {
            let database = try Database(path, create: true)
            let connection = try database.connect()
            let array = try connection.createArray("a", shape: [0], of: Double.self)
            try connection.commit()
            seconds = try timed {
                for _ in 0..<Update.transactions {
                    try array.append(values)
                    try connection.commit()
                }
            }.1
            try connection.close()
        } else {
            let size = system == "raw-lmdb" ? 65_536 : 4096
            let lmdb = try RawLMDB(path, create: true)
            seconds = try timed {
                for number in 0..<Update.transactions {
                    try lmdb.transaction(write: true) { txn in
                        let target = try lmdb.reserve(txn, number, size)
                        values.withUnsafeBytes {
                            UnsafeMutableRawBufferPointer(start: target, count: size).copyMemory(
                                from: UnsafeRawBufferPointer(rebasing: $0[..<size]))
                        }
                    }
                }
            }.1
        }
        let size = Double(fileSize(path))
        unlink(path)
        unlink(path + "-lock")
        return [
            Measurement(
                system, "append", seconds: seconds, operations: Update.transactions,
                extra: ["growth_bytes": .number(size), "growth_per_data": .number(size / 500 / 65_536)])
        ]
    }
}
