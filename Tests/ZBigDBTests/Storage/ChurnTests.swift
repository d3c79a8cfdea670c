import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Space under churn", .timeLimit(.minutes(15)))
struct ChurnTests {
    /// Small and large updates of one array, some given up, with readers that pin what they see.
    @Test("thousands of random updates keep the file under 1.5 times what lives and what readers pin")
    func churn() throws {
        var random = ArrayRandom("ChurnTests.churn")
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let connection = try database.connect()
        let size = 96 << 20
        let array = try connection.createArray("a", shape: [size], of: UInt8.self)
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: size, by: 512) {
                bytes[at] = UInt8(truncatingIfNeeded: at >> 9) | 1
            }
        }
        try connection.commit()

        var reader: Connection?
        var written = 0
        var mostPinned = 0
        var largest = 0
        for round in 0..<2500 {
            if round % 100 == 0 { reader = try database.connect() }
            if round % 100 == 30 {
                try reader?.close()
                reader = nil
                mostPinned = max(mostPinned, written)
            }
            if reader == nil { written = 0 }
            let length: Int
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<80: length = Int.random(in: 1...8, using: &random)
            case 80..<96: length = Int.random(in: 4096...200_000, using: &random)
            default: length = Int.random(in: 1 << 20...20 << 20, using: &random)
            }
            let start = Int.random(in: 0...(size - length), using: &random)
            let value = UInt8.random(in: 1...255, using: &random)
            try array.withUnsafeMutableBytes(of: start..<(start + length)) {
                _ = memset($0.baseAddress!, Int32(value), length)
            }
            if Int.random(in: 0..<20, using: &random) == 0 {
                try connection.abort()
            } else {
                try connection.commit()
            }
            written += length + 8192
            largest = max(largest, database.fileBytes)
        }
        try reader?.close()
        let live = try array.storedBlocks().bytes
        // What moves out of half dead extents meanwhile is pinned as well.
        let limit = live * 3 / 2 + mostPinned * 5 / 4
        print("live \(live >> 20) MiB, pinned \(mostPinned >> 20) MiB, file \(largest >> 20) MiB")
        #expect(largest <= limit, "file \(largest), live \(live), pinned \(mostPinned)")
        #expect(try database.verify().problems == [])
    }
}

extension Database {
    fileprivate var fileBytes: Int { (try? openStorage().environment.extent().length) ?? 0 }
}
