import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Array files, their handles and the commit", .serialized)
struct ArrayHandleTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }
    private static let block = Database.Configuration.small.blockSize

    init() throws { temporary = try TemporaryDatabase() }

    @Test("E33 E34 blocks are stored in the commit phase, before objects, and marked clean at the finish")
    func phases() throws {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [3 * Self.block], of: UInt8.self)
        try connection.commit()
        for block in [2, 0] { try array.setElement(block * Self.block, to: UInt8(7)) }
        var seen: [String] = []
        let watcher = Recorder("~")
        watcher.onPhase = { [unowned array, database] phase, _ in
            let isDirty = (try? array.memory().isDirty) ?? false
            let writes = connection.commit.request?.writes.count ?? -1
            let stored = (try? database.information().blocks) ?? -1
            seen.append("\(phase) dirty: \(isDirty), objects: \(writes), blocks: \(stored)")
        }
        try connection.transactionManager.current().join(watcher)
        try connection.commit()
        #expect(
            seen == [
                "tpcBegin dirty: true, objects: -1, blocks: 0",
                "commit dirty: true, objects: 0, blocks: 0",
                "tpcVote dirty: true, objects: 0, blocks: 2",
                "tpcFinish dirty: false, objects: -1, blocks: 2",
            ])
    }

    @Test("E36 if the flip fails, memory is not marked clean but shows the last commit")
    func failedFlip() throws {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [100], of: UInt8.self)
        try array.setElement(0, to: UInt8(1))
        try connection.commit()
        try array.setElement(0, to: UInt8(2))
        // Before the database, so that it has voted and does not finish.
        try connection.transactionManager.current().join(Recorder("a", failing: .tpcFinish))
        #expect(throws: Refusal.self) { try connection.commit() }
        #expect(try array.element(0, as: UInt8.self) == 1)
        #expect(try !array.memory().isDirty)
        try connection.abort()
        #expect(try array.element(0, as: UInt8.self) == 1)
    }

    @Test("E44 a handle that nobody uses is closed at the next boundary, a dirty one is kept")
    func unusedHandle() throws {
        let connection = try database.connect()
        var array: BigArray? = try connection.createArray("a", shape: [Self.block], of: UInt8.self)
        try connection.commit()
        weak let file = array?.file
        try array?.setElement(0, to: UInt8(1))
        array = nil
        #expect(file != nil)
        try connection.commit()
        #expect(connection.openFiles.isEmpty)
        #expect(file == nil)
        // A view holds what it needs.
        let view = try connection.root.array("a").view(as: UInt8.self)
        try connection.commit()
        #expect(connection.openFiles.count == 1)
        #expect(view[0] == 1)
    }

    @Test("E44 handles that come and go leak no descriptors")
    func descriptors() throws {
        let connection = try database.connect()
        for index in 0..<20 { _ = try connection.createArray("\(index)", shape: [100], of: UInt8.self) }
        try connection.commit()
        func count() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        }
        func touchAll() throws {
            for index in 0..<20 { try connection.root.array("\(index)").setElement(0, to: UInt8(1)) }
            try connection.abort()
        }
        try touchAll()
        let before = try count()
        for _ in 0..<10 { try touchAll() }
        // Other tests open and close files meanwhile.
        #expect(try count() < before + 100)
        #expect(connection.openFiles.isEmpty)
    }

    @Test("E47 an array that is in no database has no memory; adding it is enough")
    func notAdded() throws {
        let array = try BigArray(shape: [10], dtype: .uint8, blockSize: Self.block)
        let error = #expect(throws: DatabaseError.self) { try array.element(0, as: UInt8.self) }
        guard case .notAdded = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: DatabaseError.self) { try array.view(as: UInt8.self) }
        let connection = try database.connect()
        try connection.add(array)
        try array.setElement(0, to: UInt8(3))
        #expect(try array.element(0, as: UInt8.self) == 3)
        try connection.root.set("a", array)
        try connection.commit()
        #expect(try connection.root.array("a") === array)
    }

    @Test("E48 all ways to an array in one connection show the same memory")
    func oneHandle() throws {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [100], of: UInt8.self)
        try connection.root.set("alias", array)
        try connection.commit()
        let alias = try connection.root.array("alias")
        #expect(alias === array)
        let (one, two) = (try array.view(as: UInt8.self), try alias.view(as: UInt8.self))
        one[1] = 1
        two[2] = 2
        #expect(try array.read([.range(start: 0, stop: 4, step: 1)], as: UInt8.self) == [0, 1, 2, 0])
        try connection.commit()
        let other = try database.connect()
        #expect(
            try other.root.array("alias").read([.range(start: 0, stop: 4, step: 1)], as: UInt8.self) == [
                0, 1, 2, 0,
            ])
    }

    @Test("E49 scoped access after the connection was closed is a typed error", arguments: [true, false])
    func closedConnection(_ isLoaded: Bool) throws {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [100], of: UInt8.self)
        try connection.commit()
        if isLoaded { _ = try array.read(as: UInt8.self) }
        try connection.close()
        #expect(throws: DatabaseError.self) { try array.read(as: UInt8.self) }
        #expect(throws: DatabaseError.self) { try array.setElement(0, to: UInt8(1)) }
        #expect(throws: DatabaseError.self) { try array.resize([50]) }
    }

    @Test("E49 a view that is touched after the close stops the process with a message, not silently")
    func closedView() async throws {
        let folder = try TemporaryFolder()
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = folder.file() as String] in
            let connection = try Database(path, create: true, configuration: .small).connect()
            let array = try connection.createArray("a", shape: [100], of: UInt8.self)
            try connection.commit()
            let view = try array.view(as: UInt8.self)
            precondition(view[0] == 0)
            try connection.close()
            print(view[0])
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("array file"))
        #expect(message.contains("connection is closed"))
        withExtendedLifetime(folder) {}
    }

    @Test("E50 what a commit keeps in memory is bounded, whatever it stores")
    func boundedMemory() throws {
        let connection = try database.connect()
        let size = 4 * LMDBBlockWriter.mostKeptBytes
        let array = try connection.createArray("a", shape: [size], of: UInt8.self)
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: size, by: 4096) { bytes[at] = 1 }
        }
        var kept = -1
        let watcher = Recorder("~")
        watcher.onPhase = { phase, _ in
            guard phase == .commit else { return }
            let writer = connection.commit.writer as? LMDBBlockWriter
            kept = (try? writer?.finish().kept.count) ?? -1
        }
        try connection.transactionManager.current().join(watcher)
        try connection.commit()
        #expect(kept == 0)
        #expect(try array.storedBlocks().blocks == size / Self.block)
    }

    @Test("a failed store leaves nothing, and names the block")
    func failedStore() throws {
        var configuration = Database.Configuration.small
        configuration.mapSize = 1 << 20
        configuration.maximumSize = 24 << 20
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [64 << 20], of: UInt8.self)
        try array.setElement(5, to: UInt8(5))
        try connection.commit()
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: bytes.count, by: 4096) { bytes[at] = 1 }
        }
        let error = #expect(throws: VirtMemError.self) { try connection.commit() }
        guard case .storeFailed(_, let block, let cause) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(block > 0)
        #expect(cause as? StorageError == .full(path: temporary.path, limit: 24 << 20))
        try connection.abort()
        #expect(try array.element(5, as: UInt8.self) == 5)
        #expect(try array.element(4096, as: UInt8.self) == 0)
        try array.setElement(6, to: UInt8(6))
        try connection.commit()
        #expect(try temporary.database.information().pendingBlocks == 0)
        #expect(try temporary.database.verify().problems == [])
    }
}
