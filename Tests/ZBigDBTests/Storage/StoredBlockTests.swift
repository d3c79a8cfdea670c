import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Stored blocks and the log")
struct StoredBlockTests {
    private static let block = Database.Configuration.small.blockSize

    @Test("E4 E25 pages of zeros are not stored, blocks of zeros are holes")
    func trimming() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [4 * Self.block], of: UInt8.self)
        try array.setElement(3 * 4096 + 1, to: UInt8(1))
        try array.setElement(2 * Self.block - 1, to: UInt8(1))
        try array.setElement(2 * Self.block, to: UInt8(0))
        let tid = try connection.commit()
        #expect(tid != nil)
        #expect(try array.storedBlocks() == (blocks: 2, bytes: 2 * 4096))
        // Zeros into a hole are no change; a block that becomes zeros goes.
        try array.setElement(3 * Self.block, to: UInt8(0))
        #expect(try connection.commit() == nil)
        let other = try temporary.database.connect()
        #expect(try other.root.array("a").element(2 * Self.block - 1, as: UInt8.self) == 1)
        try array.setElement(2 * Self.block - 1, to: UInt8(0))
        try connection.commit()
        #expect(try array.storedBlocks() == (blocks: 1, bytes: 4096))
        #expect(try temporary.database.information().blocks == 1)
        try other.begin()
        #expect(try other.root.array("a").element(2 * Self.block - 1, as: UInt8.self) == 0)
        // Shorter again, and longer again.
        try array.setElement(3 * 4096 + 1, to: UInt8(0))
        try array.setElement(7, to: UInt8(7))
        try connection.commit()
        #expect(try array.storedBlocks() == (blocks: 1, bytes: 4096))
        try other.begin()
        let second = try other.root.array("a")
        #expect(try second.element(3 * 4096 + 1, as: UInt8.self) == 0)
        #expect(try second.element(7, as: UInt8.self) == 7)
        #expect(try temporary.database.verify().problems == [])
    }

    @Test("a damaged page is found when a block is checked at load, and named", arguments: LoadMode.allCases)
    func damagedPage(_ mode: LoadMode) throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        let marker = Array("a page that is easy to find".utf8)
        do {
            let database = try Database(path, create: true, configuration: .small)
            let connection = try database.connect()
            let array = try connection.createArray("a", shape: [6 * Self.block], of: UInt8.self)
            try array.fill(with: UInt8(7))
            try array.write(
                marker,
                to: [
                    .range(
                        start: 2 * Self.block + 5 * 4096, stop: 2 * Self.block + 5 * 4096 + marker.count,
                        step: 1)
                ])
            try connection.commit()
            try connection.close()
            try database.close()
        }
        var data = try #require(FileManager.default.contents(atPath: path))
        let place = try #require(data.range(of: Data(marker)))
        data[place.lowerBound + 3] ^= 1
        try data.write(to: URL(fileURLWithPath: path))

        var configuration = mode.configuration
        configuration.verifiesOnLoad = true
        let database = try Database(path, configuration: configuration)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        #expect(try array.element(5 * Self.block, as: UInt8.self) == 7)
        let error = #expect(throws: VirtMemError.self) {
            try array.element(2 * Self.block + 9, as: UInt8.self)
        }
        guard case .loadFailed(_, _, let cause as StorageError) = error, case .corrupt(_, let what) = cause
        else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains("block 2, page 5"))
        #expect(try database.verify().problems.map(\.block) == [2])
        #expect(try database.verify().problems.map(\.page) == [5])
    }

    @Test("what a killed process wrote ahead of its commit is dropped at the next open")
    func pendingOfTheDead() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        // As long as it is open here as well, there is no journal, which would take them along.
        let other = try Database(path, create: true, configuration: .small)
        _ = try other.information()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let database = try Database(path)
            let connection = try database.connect()
            // So that they are no extent: every other block.
            let bytes = LMDBBlockWriter.mostKeptBytes * 4
            let array = try connection.createArray("a", shape: [bytes], of: UInt8.self)
            try array.withUnsafeMutableBytes { memory in
                for at in stride(from: 0, to: bytes, by: 4096) where at / 65536 % 2 == 0 { memory[at] = 1 }
            }
            CommitProbe.set { place in
                guard place == .voting else { return }
                #expect((try? database.information().pendingBlocks) == bytes / 65536 / 2)
                kill(getpid(), SIGKILL)
            }
            try connection.commit()
        }
        try other.close()
        // Reading alone leaves them, writing drops them.
        var readOnly = Database.Configuration()
        readOnly.isReadOnly = true
        do {
            let database = try Database(path, configuration: readOnly)
            #expect(try database.information().pendingBlocks == 256)
            #expect(try database.verify().problems == [])
        }
        let database = try Database(path)
        #expect(try database.information().pendingBlocks == 0)
        #expect(try database.information().blocks == 0)
        let connection = try database.connect()
        #expect(try connection.root.names() == [])
    }

    @Test("the log keeps its limit, and a connection older than it sees everything anew")
    func logLimit() throws {
        var configuration = Database.Configuration.small
        configuration.logLimit = 5
        let temporary = try TemporaryDatabase(configuration)
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let array = try one.createArray("a", shape: [3 * Self.block], of: UInt8.self)
        try one.root.set("note", Note("0"))
        try one.commit()
        try two.begin()
        let second = try two.root.array("a")
        let view = try second.view(as: UInt8.self)
        let note = try two.note("note")
        #expect((view[0], view[Self.block], try note.text) == (0, 0, "0"))
        for round in 1...20 {
            try array.setElement((round % 3) * Self.block, to: UInt8(round))
            try one.note("note").set("\(round)")
            try one.commit()
        }
        #expect(try temporary.database.transactions(limit: 100).count <= 6)
        #expect((view[0], view[Self.block], try note.text) == (0, 0, "0"))
        try two.begin()
        #expect((0..<3).map { view[$0 * Self.block] } == [18, 19, 20])
        #expect(try note.text == "20")
        // Own changes that would be lost are announced.
        view[1] = 5
        let tid = try two.commit()
        #expect(tid != nil)
        #expect(view[1] == 5)
        #expect(view[0] == 18)
        #expect(try temporary.database.verify().problems == [])
    }
}
