import BenchReport
import Foundation
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
                extra: ["dirty_blocks": .number(Double(blocks))])
        ]
    }
}
