import BenchReport
import Foundation
import ZBigDB

/// Durable transactions that append 64 KiB each.
enum Append {
    private static let bytes = 65_536

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let values = (0..<(bytes / 8)).map { Double($0) }
        let path = setup.folder + "/append-" + system
        removeFile(path)
        let each = system == "raw-lmdb-4KiB" ? 4096 : bytes
        let seconds =
            switch system {
            case "raw-lmdb", "raw-lmdb-4KiB": try putRecords(path, setup, values, each)
            case "plain-pwrite": try writePlain(path, setup, values)
            default: try append(path, setup, values, Seam.configuration(system))
            }
        let size = Double(fileSize(path))
        removeFile(path)
        return [
            Measurement(
                system, "append", seconds: seconds, bytes: setup.transactions * each,
                operations: setup.transactions,
                extra: [
                    "growth_bytes": .number(size),
                    "growth_per_data": .number(size / Double(setup.transactions * each)),
                ])
        ]
    }

    private static func append(
        _ path: String, _ setup: Setup, _ values: [Double], _ configuration: Database.Configuration
    ) throws -> Double {
        let database = try Database(path, create: true, configuration: configuration)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [0], of: Double.self)
        try connection.commit()
        let (_, seconds) = try timed {
            for _ in 0..<setup.transactions {
                try array.append(values)
                try connection.commit()
            }
        }
        try connection.close()
        try database.close()
        return seconds
    }

    private static func putRecords(_ path: String, _ setup: Setup, _ values: [Double], _ each: Int) throws
        -> Double
    {
        let lmdb = try RawLMDB(path, create: true)
        return try timed {
            for number in 0..<setup.transactions {
                try lmdb.transaction(write: true) { txn in
                    let target = try lmdb.reserve(txn, number, each)
                    values.withUnsafeBytes { source in
                        if let base = source.baseAddress { target.copyMemory(from: base, byteCount: each) }
                    }
                }
            }
        }.1
    }

    private static func writePlain(_ path: String, _ setup: Setup, _ values: [Double]) throws -> Double {
        try PlainFile.writing(path) { write, sync in
            try timed {
                for number in 0..<setup.transactions {
                    try values.withUnsafeBytes { try write($0, number * bytes) }
                    try sync()
                }
            }.1
        }
    }
}
