import Foundation
import Testing
import VirtMem

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Compaction that is killed", .timeLimit(.minutes(15)))
struct CompactionKillTests {
    private static let block = Database.Configuration.small.blockSize
    private static let size = 2 * OpenExtent.mostBytes

    /// What an array has at the start of each of its pages.
    private static func value(_ page: Int) -> UInt8 { UInt8(truncatingIfNeeded: page &* 31) | 1 }

    private func make(_ path: String) throws {
        let database = try Database(path, create: true, configuration: .small)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [Self.size], of: UInt8.self)
        // Single blocks first, then parts of some.
        for parity in 0..<2 {
            try array.withUnsafeMutableBytes { bytes in
                for at in stride(from: 0, to: Self.size, by: systemPageSize)
                where at / Self.block % 2 == parity {
                    bytes[at] = Self.value(at / systemPageSize)
                }
            }
            try connection.commit()
        }
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: Self.size, by: 3 * Self.block) { bytes[at + 9] = 9 }
        }
        try connection.commit()
        try connection.close()
        try database.close()
    }

    private func check(_ path: String) throws {
        let database = try Database(path, configuration: .small)
        #expect(try database.verify().problems == [])
        #expect(try database.information().pendingBlocks == 0)
        let connection = try database.connect()
        try connection.root.array("a").withUnsafeBytes { bytes in
            let wrong = stride(from: 0, to: Self.size, by: systemPageSize).filter { at in
                bytes[at] != Self.value(at / systemPageSize)
                    || bytes[at + 9] != (at % (3 * Self.block) == 0 ? 9 : 0)
            }
            #expect(wrong == [])
        }
        try connection.close()
        try database.close()
    }

    @Test(
        "online compaction killed at any place leaves the database as it was, and can be done again",
        arguments: [
            (CommitProbe.Place.blocksFilled, 1), (.blocksFilled, 2), (.blocksWritten, 1), (.blocksWritten, 2),
            (.voting, 1), (.recordsWritten, 1),
        ])
    func online(_ place: CommitProbe.Place, _ count: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try make(path)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, place = place.rawValue as String, count = count as Int] in
            let database = try Database(path, configuration: .small)
            nonisolated(unsafe) var left = count
            CommitProbe.set { reached in
                guard reached.rawValue == place else { return }
                left -= 1
                if left == 0 { kill(getpid(), SIGKILL) }
            }
            try database.compact()
        }
        try check(path)
        let database = try Database(path, configuration: .small)
        try database.compact()
        #expect(try database.compact().movedBlocks == 0)
        try database.close()
        try check(path)
    }

    @Test("a rewrite killed at random moments leaves the old file or the new one", arguments: 0..<6)
    func rewrite(_ series: Int) async throws {
        var random = ArrayRandom("CompactionKillTests.rewrite \(series)")
        let folder = try TemporaryFolder()
        let path = folder.file()
        try make(path)
        let delay = UInt32.random(in: 0...1_500_000, using: &random)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, delay = delay as UInt32] in
            Thread.detachNewThread {
                usleep(delay)
                kill(getpid(), SIGKILL)
            }
            while true { try Database.rewrite(path, configuration: .small) }
        }
        try check(path)
        let report = try Database.rewrite(path, configuration: .small)
        #expect(report.fileBytesAfter < Self.size * 5 / 4)
        #expect(!FileManager.default.fileExists(atPath: path + LMDBRewrite.suffix))
        try check(path)
    }
}
