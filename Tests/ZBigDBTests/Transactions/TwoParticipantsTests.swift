import Testing

@testable import ZBigDB

@Suite("A database and another participant")
struct TwoParticipantsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let phase: Phase
        let isBefore: Bool
        let isBulk: Bool
        var testDescription: String {
            "\(phase) \(isBefore ? "before" : "after") the database\(isBulk ? ", bulk" : "")"
        }
    }

    static let cases = [Phase.tpcBegin, .commit, .tpcVote, .tpcFinish].flatMap { phase in
        [true, false].flatMap { isBefore in
            [false, true].map { Case(phase: phase, isBefore: isBefore, isBulk: $0) }
        }
    }

    /// More than the block writer keeps in memory, so that blocks go ahead of the commit.
    private static let bulkBytes = LMDBBlockWriter.mostKeptBytes + (1 << 20)

    private func set(_ array: BigArray, to byte: UInt8, bulk: Bool) throws {
        try array.withUnsafeMutableBytes(of: 0..<(bulk ? Self.bulkBytes : 5000)) { bytes in
            for index in bytes.indices where bulk == false || index % 4096 == 0 { bytes[index] = byte }
        }
    }

    private func bytes(_ array: BigArray) throws -> Set<UInt8> {
        try array.withUnsafeBytes(of: 0..<Self.bulkBytes) { bytes in
            Set([0, 4096, Self.bulkBytes - 4096].map { bytes[$0] })
        }
    }

    @Test("G2 G3 G4 G5 E37 a failure in any phase leaves nothing half committed", arguments: cases)
    func failure(_ test: Case) throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("array", shape: [Self.bulkBytes], of: UInt8.self)
        let note = Note("old")
        try connection.root.set("note", note)
        try set(array, to: 1, bulk: true)
        try connection.commit()

        try set(array, to: 2, bulk: test.isBulk)
        try note.set("new")
        try connection.root.set("added", Note("added"))
        let other = Recorder(test.isBefore ? "a" : "~", failing: test.phase)
        try connection.transactionManager.current().join(other)
        #expect(throws: Refusal.self) { try connection.commit() }

        // Whoever finished before the failure has finished (G5): that is what votes are for.
        let isCommitted = test.phase == .tpcFinish && !test.isBefore
        let expected: Set<UInt8> = isCommitted ? (test.isBulk ? [2] : [2, 1]) : [1]
        func check(_ connection: Connection) throws {
            let array = try connection.root.array("array")
            #expect(try bytes(array) == expected)
            #expect(try connection.note("note").text == (isCommitted ? "new" : "old"))
            #expect(try connection.root.names().contains("added") == isCommitted)
        }
        try check(connection)
        try check(try temporary.database.connect())
        try connection.abort()
        try check(connection)

        try note.set("again")
        try connection.commit()
        try check2(temporary.database)
        let fresh = try temporary.database.connect()
        #expect(try fresh.note("note").text == "again")
    }

    /// Nothing waits for a decision, nothing is left over.
    private func check2(_ database: Database) throws {
        let information = try database.information()
        #expect(information.pendingBlocks == 0)
        #expect(information.preparedTransactions == 0)
        #expect(try database.verify().problems == [])
    }

    @Test("a commit with another participant is stored whole, and its outcome can be asked for")
    func success() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("array", shape: [Self.bulkBytes], of: UInt8.self)
        try set(array, to: 7, bulk: true)
        let transaction = try connection.transactionManager.current()
        try transaction.join(Recorder("~"))
        let tid = try #require(try connection.commit())
        #expect(try temporary.database.outcome(of: transaction.id) == .committed(tid))
        #expect(try temporary.database.outcome(of: TransactionID()) == .aborted)
        let fresh = try temporary.database.connect()
        #expect(try bytes(fresh.root.array("array")) == [7])
        try check2(temporary.database)
    }

    @Test("two databases change together or not at all")
    func twoDatabases() throws {
        let (one, two) = (try TemporaryDatabase(), try TemporaryDatabase())
        let manager = TransactionManager()
        let connections = try [one, two].map { try $0.database.connect(transactionManager: manager) }
        for connection in connections { try connection.root.set("note", Note("first")) }
        let transaction = try manager.current()
        try manager.commit()
        for database in [one.database, two.database] {
            guard case .committed = try database.outcome(of: transaction.id) else {
                Issue.record("not committed")
                return
            }
        }
        // A conflict in either undoes both.
        let rival = try two.database.connect()
        try rival.note("note").set("rival")
        try rival.commit()
        for connection in connections { try connection.note("note").set("second") }
        #expect(throws: ConflictError.self) { try manager.commit() }
        try manager.abort()
        #expect(try connections.map { try $0.note("note").text } == ["first", "rival"])
        for database in [one.database, two.database] { try check2(database) }
    }

    @Test("two connections of one database with changes in one transaction are refused, not a deadlock")
    func twoConnectionsOfOneDatabase() throws {
        let temporary = try TemporaryDatabase()
        let manager = TransactionManager()
        let connections = try (0..<2).map { _ in
            try temporary.database.connect(transactionManager: manager)
        }
        try connections[0].root.set("a", Note("a"))
        try connections[1].root.set("b", Note("b"))
        let error = #expect(throws: StorageError.self) { try manager.commit() }
        guard case .protocolViolation = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try manager.abort()
        #expect(try connections[0].root.names() == [])
        try connections[0].root.set("a", Note("a"))
        try manager.commit()
        #expect(try connections[1].root.names() == ["a"])
        try check2(temporary.database)
    }

    @Test("H2 E33 a bulk commit may find new objects that need numbers")
    func numbersDuringBulk() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("array", shape: [Self.bulkBytes], of: UInt8.self)
        try set(array, to: 3, bulk: true)
        // More than one batch of numbers.
        var note = Note("last")
        for index in 0..<200 { note = Note("\(index)", next: note) }
        try connection.root.set("note", note)
        try connection.commit()
        var length = 0
        let fresh = try temporary.database.connect()
        var at: Note? = try fresh.note("note")
        while let note = at {
            length += 1
            at = try note.next
        }
        #expect(length == 201)
        try check2(temporary.database)
    }
}
