import Foundation
import Testing

@testable import ZBigDB

@Suite("Packing")
struct PackTests {
    private static let block = 65536

    private func names(_ database: Database, _ moment: Moment) throws -> [String] {
        try database.read(at: moment) { try $0.root.names() }
    }

    /// Commits steps, each with its own names, entries, elements; returns their tids.
    private func commitSteps(_ count: Int, _ database: Database) throws -> [TID] {
        let connection = try database.connect()
        defer { try? connection.close() }
        let map = PersistentMap<Int, Int>()
        try connection.root.set("map", map)
        try connection.root.set("party", Party("-"))
        let array = try connection.createArray("array", shape: [8 * Self.block], of: UInt8.self)
        return try (0..<count).map { step in
            try #require(try connection.root.object("party", as: Party.self)).name = "\(step)"
            try map.updateValue(step, forKey: step % 3)
            try map.updateValue(step, forKey: 100 + step)
            try map.removeValue(forKey: 100 + step - 2)
            try array.setBytes(
                UInt8(step + 1), in: (step % 4 * 2 * Self.block)..<((step % 4 * 2 + 1) * Self.block))
            try array.setElement(7 * Self.block + step * 4096, to: UInt8(step + 1))
            try connection.root.set("name \(step)", Party("\(step)"))
            if step > 1 { try connection.root.remove("name \(step - 2)") }
            return try #require(try connection.commit(note: "step \(step)"))
        }
    }

    private static func check(_ step: Int, _ connection: Connection) throws {
        #expect(try connection.root.object("party", as: Party.self)?.name == "\(step)")
        let map = try #require(try connection.root.object("map", as: PersistentMap<Int, Int>.self))
        var expected: [Int: Int] = [:]
        for past in 0...step { expected[past % 3] = past }
        for past in max(0, step - 1)...step { expected[100 + past] = past }
        #expect(try map.count == expected.count)
        #expect(try Dictionary(uniqueKeysWithValues: map.page().map { ($0.key, $0.value) }) == expected)
        let names = (max(0, step - 1)...step).map { "name \($0)" }
        #expect(try connection.root.names() == (["array", "map", "party"] + names).sorted())
        for past in max(0, step - 1)...step {
            #expect(try connection.root.object("name \(past)", as: Party.self)?.name == "\(past)")
        }
        try connection.root.array("array").withUnsafeBytes { bytes in
            for block in 0..<4 {
                let last = (0...step).last { $0 % 4 == block }
                #expect(
                    bytes[block * 2 * 65536]
                        == UInt8((last ?? -1) + 1))
            }
            for past in 0..<12 {
                #expect(bytes[7 * 65536 + past * 4096] == (past <= step ? UInt8(past + 1) : 0))
            }
        }
    }

    @Test("H29 everything from the moment on is as it was, older moments are refused, space is given back")
    func versions() throws {
        let database = try TemporaryDatabase(.keepingHistory).database
        let tids = try commitSteps(12, database)
        let before = try database.information()
        let report = try database.pack(before: .transaction(tids[7]))
        #expect(report.start == tids[7])
        // The objects of names that were removed before the moment.
        #expect(report.removedObjects == 6)
        let after = try database.information()
        #expect(before.records - after.records == report.removedVersions + report.removedObjects)
        #expect(after.blocks < before.blocks)
        for step in 7..<12 { try database.read(at: .transaction(tids[step])) { try Self.check(step, $0) } }
        for step in 0..<7 {
            let expected = HistoryError.notKept(path: database.path, moment: tids[step], oldest: tids[7])
            #expect(throws: expected) { try database.connect(at: .transaction(tids[step])) }
        }
        #expect(try database.verify().problems == [])
        // Undoing goes back to the moment and not further.
        #expect(try database.undoableTransactions(limit: 100).map(\.tid) == tids[8...].reversed())
        #expect(throws: HistoryError.self) { try database.undo(tids[7]) }
        try database.undo(Array(tids[8...]))
        try database.read { try Self.check(7, $0) }
        #expect(try database.verify().problems == [])
        // Again is nothing.
        let packed = try database.information()
        let again = try database.pack(before: .transaction(tids[5]))
        #expect(again.removedVersions == 0 && again.removedObjects == 0 && again.start == tids[7])
        #expect(try database.information() == packed)
    }

    @Test("H29 packed to the present, a database has the records of one that keeps no history")
    func likeWithoutHistory() throws {
        let (kept, plain) = (
            try TemporaryDatabase(.keepingHistory).database, try TemporaryDatabase().database
        )
        for database in [kept, plain] { _ = try commitSteps(12, database) }
        #expect(try kept.information().records > 2 * plain.information().records)
        for database in [kept, plain] {
            try database.pack()
            #expect(try database.verify().problems == [])
            try database.read { try Self.check(11, $0) }
        }
        #expect(try kept.information().records == plain.information().records)
        let connection = try kept.connect()
        try kept.expectExactBlocks([try connection.root.array("array")])
    }

    @Test(
        "H30 objects, maps and arrays nothing leads to go with all they have, whether history is kept or not",
        arguments: [false, true])
    func garbage(_ history: Bool) throws {
        let database = try TemporaryDatabase(history ? .keepingHistory : .small).database
        let connection = try database.connect()
        let before = try database.information()
        let account = Account()
        account.owner = Party("Ann")
        account.owner?.friends = [Party("Bob"), account.owner!]
        account.history = try BigArray(shape: [600 * 4096], dtype: .uint8, blockSize: Self.block)
        try connection.root.set("account", account)
        try connection.add(try #require(account.history))
        try account.history?.setBytes(3)
        let map = PersistentMap<Int, Party>()
        for key in 0..<3000 { try map.updateValue(Party("\(key)"), forKey: key) }
        try connection.root.set("map", map)
        try connection.root.set("kept", PersistentMap<String, Party>())
        try connection.commit()
        let kept = try #require(try connection.root.object("kept", as: PersistentMap<String, Party>.self))
        try kept.updateValue(try #require(account.owner), forKey: "ann")
        try connection.commit()
        #expect(try database.pack().removedObjects == 0)
        try connection.root.remove("account")
        try connection.root.remove("map")
        try connection.commit()
        let report = try database.pack()
        // The account, its array and file; the map and what only it had.
        #expect(report.removedObjects == 3 + 1 + 3000)
        let after = try database.information()
        #expect(after.blocks == 0)
        // The map that stays with its count and entry, its name, the root's count, Ann and Bob.
        #expect(after.records == before.records + 7)
        #expect(try database.verify().problems == [])
        try connection.begin()
        let ann = try #require(try kept["ann"])
        #expect(ann.name == "Ann" && ann.friends.map(\.name) == ["Bob", "Ann"])
    }

    @Test("H30 references of classes nobody knows are followed, wherever they are in a state")
    func unknownClasses() throws {
        let database = try TemporaryDatabase().database
        let storage = try database.openStorage()
        let first = try storage.reserveOIDs(upTo: 4).lowerBound
        let oids = (0..<4).map { OID(rawValue: first + UInt64($0)) }
        func reference(_ oid: OID) -> CBORValue {
            .tagged(39, .array([.unsigned(oid.rawValue), .text("test.Nobody")]))
        }
        func state(_ fields: CBORValue) -> RecordValue {
            var writer = CBORWriter()
            CBORValue.array([.text("test.Nobody"), .unsigned(1), fields]).encode(into: &writer)
            return .state(writer.bytes)
        }
        var name = CBORWriter()
        reference(oids[0]).encode(into: &name)
        let deep = CBORValue.map([
            .init(
                key: .text("a"),
                value: .array([
                    .double(0.5), .tagged(1, .map([.init(key: reference(oids[1]), value: .null)])),
                ])),
            .init(key: .bytes([0xd8, 0x27, 0x82]), value: .tagged(39, .text("no reference"))),
        ])
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "", metadata: [:],
            writes: [
                RecordWrite(
                    key: RecordKey(.root, try NameKey.encode("x")), value: .state(name.bytes), base: nil),
                RecordWrite(key: RecordKey(oids[0]), value: state(deep), base: nil),
                RecordWrite(key: RecordKey(oids[1]), value: state(.array([reference(oids[2])])), base: nil),
                RecordWrite(key: RecordKey(oids[2]), value: state(.null), base: nil),
                RecordWrite(key: RecordKey(oids[3]), value: state(reference(oids[0])), base: nil),
            ],
            readings: [], blocks: storage.makeBlockWriter(isAhead: false))
        try storage.vote(request, isSole: true).finish()
        #expect(try database.pack().removedObjects == 1)
        let connection = try database.connect()
        for oid in oids[..<3] { #expect(try connection.object(oid) is UnknownObject) }
        #expect(throws: DatabaseError.self) { try connection.object(oids[3]) }
    }

    @Test("H29 what only the past leads to stays as long as that can be looked at; tags are such a past")
    func reachableInThePast() throws {
        let temporary = try TemporaryDatabase(.keepingHistory)
        let database = temporary.database
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [Self.block], of: UInt8.self)
        try array.setBytes(7)
        try connection.root.set("p", Party("old"))
        let first = try #require(try connection.commit())
        try database.addTag("first")
        try connection.root.remove("a")
        let second = try #require(try connection.commit())
        try connection.root.remove("p")
        let third = try #require(try connection.commit())
        #expect(try database.pack(before: .transaction(first)).removedObjects == 0)
        #expect(try database.pack(before: .transaction(second)).removedObjects == 0)
        #expect(try database.pack().removedObjects == 0)
        func checkFirst(_ connection: Connection) throws {
            #expect(try connection.root.names() == ["a", "p"])
            #expect(try connection.root.object("p", as: Party.self)?.name == "old")
            #expect(try connection.root.array("a").withUnsafeBytes { $0.allSatisfy { $0 == 7 } })
        }
        try checkFirst(try database.connect(at: .tag("first")))
        try checkFirst(try database.connect(at: .transaction(first)))
        #expect(throws: HistoryError.notKept(path: database.path, moment: second, oldest: third)) {
            try database.connect(at: .transaction(second))
        }
        #expect(try database.verify().problems == [])
        // The rewritten file has the tag and its state.
        try connection.close()
        try database.close()
        try Database.rewrite(database.path, configuration: .keepingHistory)
        let again = try Database(database.path, configuration: .keepingHistory)
        #expect(try again.verify().problems == [])
        try checkFirst(try again.connect(at: .tag("first")))
        #expect(throws: HistoryError.self) { try again.connect(at: .transaction(second)) }
        try again.removeTag("first")
        // The array, its file, the party.
        #expect(try again.pack().removedObjects == 3)
        #expect(try again.information().blocks == 0)
        #expect(throws: HistoryError.self) { try again.connect(at: .transaction(first)) }
        #expect(try again.verify().problems == [])
    }

    @Test("H32 without collecting garbage objects stay, versions go")
    func withoutGarbage() throws {
        let database = try TemporaryDatabase(.keepingHistory).database
        let connection = try database.connect()
        let party = Party("0")
        try connection.root.set("p", party)
        try connection.commit()
        party.name = "1"
        try connection.root.remove("p")
        try connection.commit()
        let report = try database.pack(collectsGarbage: false)
        #expect(report.removedObjects == 0 && report.removedVersions == 4)
        #expect(try connection.storedObject(try #require(party.oid)).className == "test.Party")
        #expect(try database.pack().removedObjects == 1)
    }

    @Test("H29 a second packing is refused while one runs, an interrupted one leaves a sound database")
    func oneAtATime() throws {
        let temporary = try TemporaryDatabase(.keepingHistory)
        let database = temporary.database
        let tids = try commitSteps(6, database)
        struct Stop: Error {}
        var calls = 0
        #expect(throws: Stop.self) {
            try database.pack { progress in
                calls += 1
                #expect(progress.done <= progress.total)
                #expect(throws: HistoryError.packing(path: temporary.path)) { try database.pack() }
                if progress.phase == .removing { throw Stop() }
            }
        }
        #expect(calls == 2)
        #expect(try database.verify().problems == [])
        try database.read { try Self.check(5, $0) }
        #expect(throws: HistoryError.self) { try database.connect(at: .transaction(tids[3])) }
        try database.pack()
        try database.read { try Self.check(5, $0) }
        let future = try #require(try database.transactions(limit: 1).first?.tid).next
        #expect(throws: HistoryError.self) { try database.pack(before: .transaction(future)) }
        // From another process as well.
        try database.pack { progress in
            guard progress.phase == .marking else { return }
            let result = Result { try ToolRunner().run(["verify", temporary.path]).exitCode }
            #expect((try? result.get()) == 0)
        }
    }

    @Test("the space of what was packed away is used again")
    func space() throws {
        let database = try TemporaryDatabase(.keepingHistory).database
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [64 * Self.block], of: UInt8.self)
        func fill(_ value: Int) throws {
            try array.setBytes(UInt8(value))
            try connection.commit()
        }
        for value in 1...6 { try fill(value) }
        try database.pack()
        let used = try database.information().usedBytes
        #expect(used > 5 * 64 * Self.block)
        for value in 1...20 {
            try fill(value)
            try database.pack()
        }
        #expect(try database.information().usedBytes < used + 2 * 64 * Self.block)
        #expect(try database.verify().problems == [])
    }

    @Test("a database that is full of old versions is packed, and has room again")
    func full() throws {
        var configuration = Database.Configuration.keepingHistory
        configuration.maximumSize = 48 << 20
        configuration.mapSize = 48 << 20
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [64 * Self.block], of: UInt8.self)
        func fill(_ value: Int) throws {
            try array.setBytes(UInt8(value))
            try connection.commit()
        }
        var filled = 0
        #expect(throws: StorageError.full(path: database.path, limit: 48 << 20)) {
            for value in 1..<100 {
                try fill(value)
                filled = value
            }
        }
        try connection.abort()
        #expect(try array.element(0, as: UInt8.self) == UInt8(filled))
        #expect(try database.pack().removedVersions >= 64)
        // What it looked at was pinned.
        try connection.begin()
        for value in 100..<104 { try fill(value) }
        #expect(try database.verify().problems == [])
    }
}
