import Foundation
import Synchronization
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Transactions in doubt")
struct InDoubtTests {
    private static let bulkBytes = LMDBBlockWriter.mostKeptBytes + (1 << 20)

    /// A database whose last process said yes and was killed.
    private func crash() async throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        do {
            let database = try Database(folder.file(), create: true, configuration: .small)
            let connection = try database.connect()
            try connection.root.set("note", Note("old"))
            try connection.root.set("free", Note("free"))
            _ = try connection.createArray("array", shape: [Self.bulkBytes], of: UInt8.self)
            try connection.commit()
            try connection.close()
        }
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.file() as String] in
            let connection = try Database(path).connect()
            try connection.note("note").set("new")
            try connection.root.set("added", Note("added"))
            let array = try connection.root.array("array")
            try array.withUnsafeMutableBytes { bytes in
                for index in stride(from: 0, to: bytes.count, by: 4096) { bytes[index] = 5 }
            }
            // It votes after the database did.
            let other = Recorder("~")
            other.onPhase = { phase, _ in if phase == .tpcVote { kill(getpid(), SIGKILL) } }
            try connection.transactionManager.current().join(other)
            try connection.commit(note: "in doubt")
        }
        return folder
    }

    private func sample(_ connection: Connection) throws -> [UInt8] {
        try connection.root.array("array").withUnsafeBytes { [$0[0], $0[4096], $0[Self.bulkBytes - 4096]] }
    }

    @Test("a transaction in doubt is listed, protects what it changes, and can be committed")
    func commit() async throws {
        let folder = try await crash()
        let database = try Database(folder.file())
        let ids = try database.transactionsInDoubt()
        #expect(ids.count == 1)
        let id = try #require(ids.first)
        #expect(try database.outcome(of: id) == .inDoubt)
        #expect(try database.verify().problems == [])

        let connection = try database.connect()
        #expect(try connection.note("note").text == "old")
        #expect(try sample(connection) == [0, 0, 0])

        func refuses(_ part: String, _ change: () throws -> Void) throws {
            try change()
            let error = #expect(throws: StorageError.self) { try connection.commit() }
            guard case .inDoubt(_, _, let named, let transaction) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(named == part)
            #expect(transaction == id)
            try connection.abort()
        }
        try refuses("its state") { try connection.note("note").set("mine") }
        try refuses("entry \"added\"") { try connection.root.set("added", Note("mine")) }
        try refuses("block 1") { try connection.root.array("array").setElement(70_000, to: UInt8(1)) }
        try refuses("its state") {
            try connection.readCurrent(connection.note("note"))
            try connection.note("free").set("taken")
        }
        try refuses("block 3") { try connection.root.array("array").resize([200_000]) }
        try connection.note("free").set("taken")
        try connection.commit()

        try database.resolve(id, commit: true)
        guard case .committed(let tid) = try database.outcome(of: id) else {
            Issue.record("not committed")
            return
        }
        try connection.begin()
        #expect(try connection.tid == tid)
        #expect(try connection.note("note").text == "new")
        #expect(try sample(connection) == [5, 5, 5])
        #expect(try connection.root.names() == ["added", "array", "free", "note"])
        #expect(try database.transactionsInDoubt() == [])
        #expect(try database.transactions(limit: 1).first?.note == "in doubt")
        try database.resolve(id, commit: false)
        #expect(try database.outcome(of: id) == .committed(tid))
        try connection.note("note").set("newer")
        try connection.commit()
        #expect(try database.verify().problems == [])
    }

    @Test("a transaction in doubt can be aborted, and leaves nothing")
    func abort() async throws {
        let folder = try await crash()
        // Brings in what the journal has.
        try Database(folder.file()).close()
        var readOnly = Database.Configuration()
        readOnly.isReadOnly = true
        do {
            let database = try Database(folder.file(), configuration: readOnly)
            let id = try #require(try database.transactionsInDoubt().first)
            #expect(throws: StorageError.readOnly(path: folder.file())) {
                try database.resolve(id, commit: true)
            }
        }
        let database = try Database(folder.file())
        let id = try #require(try database.transactionsInDoubt().first)
        try database.resolve(id, commit: false)
        #expect(try database.outcome(of: id) == .aborted)
        let connection = try database.connect()
        #expect(try connection.note("note").text == "old")
        #expect(try sample(connection) == [0, 0, 0])
        #expect(try connection.root.names() == ["array", "free", "note"])
        let information = try database.information()
        #expect(information.blocks == 0)
        #expect(information.pendingBlocks == 0)
        #expect(try database.verify().problems == [])
        try connection.note("note").set("mine")
        try connection.commit()
    }

    @Test("blocks of a prepared transaction are not garbage, whatever its writer does afterwards")
    func preparedBlocks() throws {
        let temporary = try TemporaryDatabase()
        let storage = try temporary.database.openStorage()
        let writer = storage.makeBlockWriter(isAhead: false)
        let bytes = [UInt8](repeating: 9, count: 65536)
        let count = LMDBBlockWriter.mostKeptBytes / bytes.count + 10
        let oid = OID(rawValue: try storage.reserveOIDs(upTo: 1).lowerBound)
        var blockWrites: [BlockWrite] = []
        let all = PageSet.all(pageCount: bytes.count / systemPageSize)
        for block in 0..<count {
            let part = try bytes.withUnsafeBytes {
                try writer.store(NewBlock(oid: oid, number: block, bytes: $0, pages: all))
            }
            blockWrites.append(
                BlockWrite(
                    key: RecordKey(oid, block: block), base: nil, baseRecipe: BlockRecipe(),
                    patch: BlockPatch(parts: [try #require(part)], changed: all, covered: all), spread: 0))
        }
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "", metadata: [:], writes: [], blockWrites: blockWrites,
            readings: [], blocks: writer)
        let prepared = try storage.vote(request, isSole: false)
        // What a connection does when the flip fails.
        writer.discard()
        #expect(storage.garbage.withLock { $0.isEmpty })
        try prepared.finish()
        #expect(try temporary.database.information().blocks == count)
        #expect(try temporary.database.verify().problems == [])
    }
}
