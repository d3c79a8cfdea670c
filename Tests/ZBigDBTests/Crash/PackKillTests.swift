import Foundation
import Testing

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Packing that is killed", .timeLimit(.minutes(15)))
struct PackKillTests {
    private static let block = 65536
    private static let entries = 3000

    /// A database with old versions and garbage; returns the last transactions.
    private static func make(_ path: String, history: Bool) throws -> [TID] {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = history
        let database = try Database(path, create: true, configuration: configuration)
        let connection = try database.connect()
        let kept = PersistentMap<Int, Party>()
        let garbage = PersistentMap<Int, Party>()
        for key in 0..<entries {
            try garbage.updateValue(Party("garbage"), forKey: key)
            if key % 10 == 0 { try kept.updateValue(Party("kept \(key)"), forKey: key) }
        }
        try connection.root.set("kept", kept)
        try connection.root.set("garbage", garbage)
        for name in ["a", "b"] {
            try connection.createArray(name, shape: [300 * block], of: UInt8.self).setBytes(1)
        }
        try connection.commit()
        try connection.root.remove("garbage")
        try connection.root.remove("b")
        try connection.commit()
        let tids = try (0..<3).map { step in
            for key in stride(from: 0, to: entries, by: 10) {
                try kept.updateValue(Party("kept \(key) \(step)"), forKey: key)
            }
            try connection.root.array("a").setBytes(UInt8(step + 2), in: 0..<(200 * block))
            return try #require(try connection.commit())
        }
        try connection.close()
        try database.close()
        return tids
    }

    private static func check(_ connection: Connection, step: Int) throws {
        #expect(try connection.root.names() == ["a", "kept"])
        let kept = try #require(try connection.root.object("kept", as: PersistentMap<Int, Party>.self))
        #expect(try kept.count == entries / 10)
        for (key, party) in try kept.page(limit: entries) { #expect(party.name == "kept \(key) \(step)") }
        try connection.root.array("a").withUnsafeBytes { bytes in
            #expect((0..<300).allSatisfy { bytes[$0 * block] == ($0 < 200 ? UInt8(step + 2) : 1) })
        }
    }

    private func packAndKill(_ path: String, _ place: CommitProbe.Place, _ count: Int, _ start: TID) async {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [
                path = path as String, place = place.rawValue as String, count = count as Int,
                start = start.rawValue as UInt64
            ] in
            let database = try Database(path, configuration: .small)
            nonisolated(unsafe) var left = count
            CommitProbe.set { reached in
                guard reached.rawValue == place else { return }
                left -= 1
                if left == 0 { kill(getpid(), SIGKILL) }
            }
            try database.pack(before: .transaction(TID(rawValue: start)))
        }
    }

    /// Checks what the killed one left, and does it again to its end.
    private func packAgain(_ path: String, _ tids: [TID], history: Bool) throws {
        let database = try Database(path, configuration: .small)
        func check() throws {
            #expect(try database.verify().problems == [])
            try database.read { try Self.check($0, step: 2) }
            if history { try database.read(at: .transaction(tids[1])) { try Self.check($0, step: 1) } }
        }
        try check()
        try database.pack(before: .transaction(tids[1]))
        try check()
        try database.pack()
        #expect(try database.verify().problems == [])
        try database.read { try Self.check($0, step: 2) }
        // The root, its count and two names; the map, its count, its entries and what they refer to; the
        // array, its file and its blocks.
        #expect(try database.information().records == 4 + 2 + 2 * Self.entries / 10 + 2 + 300)
        let connection = try database.connect()
        try database.expectExactBlocks([try connection.root.array("a")])
        try connection.close()
        let again = try database.pack()
        #expect(again.removedObjects == 0 && again.removedVersions == 0)
        try database.close()
    }

    @Test(
        "H31 packing killed at any place leaves a sound database with all that is to stay, and can be done again",
        arguments: [
            (CommitProbe.Place.voting, 1), (.recordsWritten, 1), (.finished, 1), (.recordsWritten, 2),
            (.finished, 2),
            (.finished, 3), (.recordsWritten, 4), (.finished, 5), (.finished, 7), (.recordsWritten, 9),
            (.finished, 11),
        ])
    func places(_ place: CommitProbe.Place, _ count: Int) async throws {
        for history in [true, false] {
            let folder = try TemporaryFolder()
            let path = folder.file()
            let tids = try Self.make(path, history: history)
            await packAndKill(path, place, count, tids[1])
            try packAgain(path, tids, history: history)
        }
    }
}
