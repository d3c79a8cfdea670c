import BenchReport
import CKernels
import Foundation
import ZBigDB

/// How small each codec makes an array, how fast it is written, and how fast it is scanned in a
/// fresh process.
enum Compress {
    /// What is compressed.
    enum Data: String, CaseIterable {
        /// Elements i * 0.5.
        case counting
        /// What an instrument delivers: a slow curve and some noise, in hundredths.
        case readings
        /// Random bits.
        case noise
    }

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let configuration = Seam.configuration(system)
        return try Data.allCases.map { data in
            let path = setup.folder + "/compress-\(system)-\(data.rawValue)"
            let database: Database
            let seconds: Double
            var extra: [String: Measurement.Value]
            if setup.phase == "write" {
                removeFile(path)
                database = try Database(path, create: true, configuration: configuration)
                seconds = try write(database, data, setup)
                let size = Double(fileSize(path))
                extra = ["file_bytes": .number(size), "ratio": .number(Double(setup.bytes) / size)]
            } else {
                PageCache.warm(path)
                database = try Database(path, configuration: configuration)
                seconds = try scan(database, data, setup)
                extra = ["scan_MBps": .number(Double(setup.bytes) / seconds / 1e6)]
            }
            try database.close()
            if setup.phase != "write" { removeFile(path) }
            return Measurement(
                system, "compress", seconds: seconds, bytes: setup.bytes,
                params: ["case": .text(data.rawValue)], extra: extra)
        }
    }

    /// Blocks of the data are prepared outside of what is timed, and used again and again.
    private static func blocks(_ data: Data) -> [[Double]] {
        let perBlock = RawLMDB.blockBytes / 8
        var state = RandomRead.seed
        return (0..<8).map { block in
            (0..<perBlock).map { index in
                let place = Double(block * perBlock + index)
                return switch data {
                case .counting: place * 0.5
                case .readings:
                    (sin(place / 5000) * 2000 + Double(kernels_next(&state) % 20)).rounded() / 100
                // Of exponents that leave it a number.
                case .noise: Double(bitPattern: kernels_next(&state) >> 12 | 0x3ff0_0000_0000_0000)
                }
            }
        }
    }

    private static func write(_ database: Database, _ data: Data, _ setup: Setup) throws -> Double {
        let blocks = Self.blocks(data)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [setup.count], of: Double.self)
        let (_, seconds) = try timed {
            for block in 0..<setup.blocks {
                let start = block * RawLMDB.blockBytes
                try array.withUnsafeMutableBytes(of: start..<(start + RawLMDB.blockBytes)) { target in
                    blocks[block % blocks.count].withUnsafeBytes { target.copyMemory(from: $0) }
                }
                if (start + RawLMDB.blockBytes) % Setup.commitBytes == 0 { try connection.commit() }
            }
            try connection.commit()
        }
        try connection.close()
        return seconds
    }

    private static func scan(_ database: Database, _ data: Data, _ setup: Setup) throws -> Double {
        let connection = try database.connect()
        let view = try connection.root.array("a").view(as: Double.self)
        let (sum, seconds) = try timed {
            try view.withUnsafeBufferPointer { elements in
                elements.baseAddress.map { kernels_sum($0, elements.count) } ?? 0
            }
        }
        try connection.close()
        let sums = blocks(data).map { block in
            block.withUnsafeBufferPointer { block in
                block.baseAddress.map { kernels_sum($0, block.count) } ?? 0
            }
        }
        let expected = (0..<setup.blocks).reduce(0.0) { $0 + sums[$1 % sums.count] }
        guard abs(sum - expected) <= abs(expected) * 1e-9 + 1 else {
            throw BenchError("the \(data.rawValue) read back are others: \(sum), not \(expected)")
        }
        return seconds
    }
}
