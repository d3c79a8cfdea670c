import Foundation
import Testing

@testable import ZBigDB

/// Blocks of the default size, whose records two threads build.
@Suite struct LargeBlockTests {
    @Test(
        "2 MiB blocks, whole and trimmed, kept and bulk, have right bytes and checksums", arguments: [3, 12])
    func records(blocks: Int) throws {
        var random = ArrayRandom("LargeBlockTests \(blocks)")
        let temporary = try TemporaryDatabase(Database.Configuration())
        let size = 2 << 20
        // The last block is cut off inside a page.
        let values = (0..<((blocks * size - 3 * size / 4 - 40) / 8)).map { _ in
            UInt64.random(in: 1...UInt64.max, using: &random)
        }
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [values.count], of: UInt64.self)
        try array.write(values)
        try connection.commit()
        #expect(try array.storedBlocks().blocks == blocks)
        let report = try temporary.database.verify()
        #expect(report.problems == [])
        #expect(report.pages == (values.count * 8 + 4095) / 4096)
        let other = try temporary.database.connect()
        #expect(try other.root.array("a").read(as: UInt64.self) == values)
        try connection.close()
        try other.close()
    }
}
