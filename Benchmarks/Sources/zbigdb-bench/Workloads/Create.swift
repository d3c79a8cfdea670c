import BenchReport
import CKernels
import Foundation
import ZBigDB

/// An array of Float64 filled in order, committed every 256 MiB.
enum Create {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.path(of: system)
        removeFile(path)
        let (_, seconds) = try timed {
            switch system {
            case _ where system.hasPrefix("plain"):
                try PlainFile.create(path, count: setup.count, commitEvery: Setup.commitBytes)
            case _ where system.hasPrefix("raw-lmdb"):
                try RawLMDB.create(path, count: setup.count, commitEvery: Setup.commitBytes)
            default: try create(path, setup.count)
            }
        }
        return [
            Measurement(
                system, "create", seconds: seconds, bytes: setup.bytes,
                extra: ["growth_bytes": .number(Double(fileSize(path)))])
        ]
    }

    private static func create(_ path: String, _ count: Int) throws {
        let database = try Database(path, create: true)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [count], of: Double.self)
        var at = 0
        while at < count {
            let part = min(Setup.commitBytes / 8, count - at)
            // In pieces of 8 MiB, as a program would that streams its input.
            for start in stride(from: at, to: at + part, by: 1 << 20) {
                let piece = min(1 << 20, at + part - start)
                try array.withUnsafeMutableBytes(of: (start * 8)..<((start + piece) * 8)) { bytes in
                    guard let base = bytes.baseAddress else { return }
                    kernels_fill(base.assumingMemoryBound(to: Double.self), start, piece)
                }
            }
            try connection.commit()
            at += part
        }
        try connection.close()
        try database.close()
    }
}
