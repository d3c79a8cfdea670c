import Foundation
import Testing

@testable import ZBigDB

@Suite("Lists and other transactions", .timeLimit(.minutes(15)))
struct ListConcurrencyTests {
    private typealias Numbers = PersistentList<Int>

    private func filled(_ database: Database, _ count: Int) throws -> Connection {
        let connection = try database.connect()
        let list = Numbers()
        try list.append(contentsOf: 0..<count)
        try connection.root.set("numbers", list)
        try connection.commit(note: "filled")
        return connection
    }

    private func numbers(_ connection: Connection) throws -> Numbers {
        try #require(try connection.root.object("numbers", as: Numbers.self))
    }

    @Test(
        "elements of different leaves do not conflict; those of one leaf do, and what changes positions does anywhere"
    )
    func conflicts() throws {
        let database = try TemporaryDatabase().database
        let one = try filled(database, 20_000)
        let two = try database.connect()
        let (mine, yours) = (try numbers(one), try numbers(two))

        func conflict(_ first: (Numbers) throws -> Void, _ second: (Numbers) throws -> Void) throws
            -> ConflictError?
        {
            try conflictOfCommits(of: one, { try first(mine) }, of: two, { try second(yours) })
        }
        #expect(try conflict({ try $0.update(-1, at: 5) }, { try $0.update(-2, at: 15_000) }) == nil)
        try one.begin()
        #expect(try mine[5] == -1 && mine[15_000] == -2)
        let error = try conflict({ try $0.update(-3, at: 5) }, { try $0.update(-4, at: 6) })
        #expect(error?.className == "zbigdb.PersistentList" && error?.oid == mine.object.oid)
        #expect(try conflict({ try $0.append(1) }, { try $0.append(2) }) != nil)
        #expect(try conflict({ try $0.insert(1, at: 3) }, { try $0.remove(at: 19_000) }) != nil)
        #expect(
            try conflict({ try $0.move(from: 1, to: 9000) }, { try $0.move(from: 18_000, to: 17_000) }) != nil
        )
        // An insertion and a replacement elsewhere are one after the other.
        #expect(try conflict({ try $0.insert(7, at: 0) }, { try $0.update(8, at: 16_000) }) == nil)
        try one.begin()
        #expect(try mine[0] == 7 && mine[16_001] == 8)
        #expect(try conflict({ try $0.removeSubrange(100...) }, { try $0.update(9, at: 12_000) }) != nil)
        #expect(try conflict({ try $0.removeAll() }, { try $0.append(9) }) != nil)
        // The first elements of an empty list, too.
        #expect(try conflict({ try $0.append(1) }, { try $0.append(2) }) != nil)
        #expect(try database.verify().problems == [])
    }

    @Test(
        "an element that becomes so large that its leaf is divided: the new node is stored, and meets others' new nodes"
    )
    func division() throws {
        let database = try TemporaryDatabase().database
        let one = try filled(database, 60_000)
        let two = try database.connect()
        let oid = try #require(try numbers(one).object.oid)
        let large = String(repeating: "x", count: 4000)
        func texts(_ connection: Connection) throws -> PersistentList<String> {
            try #require(try connection.root.object("numbers", as: PersistentList<String>.self))
        }
        // A middling one changes one leaf, a large one its surroundings.
        try texts(one).update(String(repeating: "x", count: 500), at: 40_000)
        try one.commit()
        #expect(try database.transactions(limit: 1).first?.changes.objects[oid]?.entries.count == 1)
        for index in [20_000, 30_000] {
            try texts(one).update(large, at: index)
            try one.commit()
            #expect(try database.verify().problems == [])
        }
        try two.begin()
        try texts(one).update(large, at: 5)
        try numbers(two).append(contentsOf: 0..<1000)
        try one.commit()
        #expect(throws: ConflictError.self) { try two.commit() }
        try two.abort()
        try numbers(two).append(contentsOf: 0..<1000)
        try two.commit()
        #expect(try database.verify().problems == [])
        let list = try texts(two)
        #expect(try list.count == 61_000 && list[5] == large && list[30_000] == large)
        #expect(try numbers(two)[59_999] == 59_999 && numbers(two)[29_999] == 29_999)
    }

    @Test("writers that insert anywhere retry, and none of their elements is lost")
    func writers() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        try filled(database, 1000).close()
        _ = try await awaitingThreads(3) { thread in
            var random = ArrayRandom("ListConcurrencyTests.writers", seed: UInt64(thread))
            for round in 0..<30 {
                let place = Int.random(in: 0...1000, using: &random)
                try database.write(attempts: 1000) { connection in
                    let list = try self.numbers(connection)
                    try list.insert(-(1000 * thread + round + 1), at: place)
                    if round % 3 == 0 { try list.move(from: 0, to: list.count - 1) }
                }
            }
        }
        let connection = try database.connect()
        let list = try numbers(connection)
        #expect(try list.count == 1090)
        let expected =
            Array(0..<1000) + (0..<3).flatMap { thread in (0..<30).map { -(1000 * thread + $0 + 1) } }
        #expect(try list.page(limit: 2000).sorted() == expected.sorted())
        #expect(try database.verify().problems == [])
    }

    @Test("the past shows what was there, and the history which transactions changed the list")
    func past() throws {
        let database = try TemporaryDatabase(.keepingHistory).database
        let connection = try filled(database, 3000)
        let list = try numbers(connection)
        var random = ArrayRandom("ListConcurrencyTests.past")
        var model = Array(0..<3000)
        var versions: [(TID, [Int])] = [(try connection.tid, model)]
        for step in 0..<30 {
            let index = Int.random(in: 0..<model.count, using: &random)
            switch step % 4 {
            case 0:
                try list.update(-step, at: index)
                model[index] = -step
            case 1:
                try list.insert(contentsOf: 0..<400, at: index)
                model.insert(contentsOf: 0..<400, at: index)
            case 2:
                try list.removeSubrange(index...)
                model.removeSubrange(index...)
            default:
                try list.append(contentsOf: 0..<1500)
                model += 0..<1500
            }
            versions.append((try #require(try connection.commit(note: "step \(step)")), model))
        }
        for (tid, model) in versions {
            try database.read(at: .transaction(tid)) { past in
                let list = try numbers(past)
                let (count, seen) = (try list.count, try list.page(limit: .max))
                #expect(count == model.count && seen == model)
                #expect(throws: HistoryError.self) { try list.append(1) }
            }
        }
        #expect(try connection.history(of: list, limit: 100).map(\.note).first == "step 29")
        #expect(try connection.history(of: list, limit: 100).count == 31)
        #expect(try database.verify().problems == [])
        // Packed away, all but the last.
        try database.pack(before: .transaction(versions[20].0))
        for (tid, model) in versions[20...] {
            try database.read(at: .transaction(tid)) { past in
                let seen = try numbers(past).page(limit: .max)
                #expect(seen == model)
            }
        }
        #expect(try database.verify().problems == [])
    }

    @Test(
        "replacing an element is undone whatever happened elsewhere; inserting as long as no position changed since"
    )
    func undo() throws {
        let database = try TemporaryDatabase(.keepingHistory).database
        let connection = try filled(database, 20_000)
        let list = try numbers(connection)
        func commit(_ body: (Numbers) throws -> Void) throws -> TID {
            try body(list)
            return try #require(try connection.commit())
        }
        let replaced = try commit { try $0.update(-1, at: 15_000) }
        let inserted = try commit { try $0.insert(-2, at: 10) }
        let other = try commit { try $0.update(-3, at: 8000) }
        let removed = try commit { try $0.removeSubrange(1000..<1100) }
        #expect(throws: UndoError.self) { try database.undo(inserted) }
        try database.undo(replaced)
        try connection.begin()
        #expect(try list[14_901] == 15_000 && list[7900] == -3 && list[10] == -2 && list.count == 19_901)
        try database.undo(removed)
        try database.undo(inserted)
        try connection.begin()
        #expect(try list.count == 20_000 && list[7999] == -3 && list[8000] == 8000 && list[10] == 10)
        try database.undo(other)
        try connection.begin()
        #expect(try list.page(limit: .max) == Array(0..<20_000))
        #expect(try database.verify().problems == [])
        // Undoing the list as a whole.
        let new = Numbers()
        try new.append(1)
        try connection.root.set("new", new)
        let created = try #require(try connection.commit())
        let appended = try commit { _ in try new.append(contentsOf: 0..<1000) }
        #expect(throws: UndoError.self) { try database.undo(created) }
        try database.undo([created, appended])
        try connection.begin()
        #expect(try connection.root.object("new") == nil)
        #expect(try database.verify().problems == [])
    }

    @Test(
        "packing keeps what only a list leads to, and takes what was removed from it",
        arguments: [false, true])
    func packing(_ history: Bool) throws {
        let database = try TemporaryDatabase(history ? .keepingHistory : .small).database
        let connection = try database.connect()
        let list = PersistentList<Party>()
        for index in 0..<3000 { try list.append(Party("\(index)")) }
        try connection.root.set("parties", list)
        try connection.commit()
        #expect(try database.pack().removedObjects == 0)
        try list.removeSubrange(1000..<2000)
        try list.update(Party("new"), at: 5)
        try connection.commit()
        #expect(try database.pack().removedObjects == 1001)
        try connection.begin()
        var names: [String] = []
        try list.forEach { _, party in names.append(party.name) }
        let expected = (0..<3000).filter { $0 < 1000 || $0 >= 2000 }.map { $0 == 5 ? "new" : "\($0)" }
        #expect(names == expected)
        #expect(try database.verify().problems == [])
        try connection.root.remove("parties")
        try connection.commit()
        #expect(try database.pack().removedObjects == 2001)
        #expect(try database.verify().problems == [])
    }

    @Test("observers of a list get the commits that change it")
    func observation() async throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let connection = try filled(database, 1000)
        let list = try numbers(connection)
        let changes = database.changes(of: list)
        try connection.root.set("other", Party("x"))
        try connection.commit(note: "another")
        try list.update(7, at: 3)
        try connection.commit(note: "replaced")
        try list.append(8)
        try connection.commit(note: "appended")
        var notes: [String] = []
        for try await change in changes {
            notes.append(change.note)
            if notes.count == 2 { break }
        }
        #expect(notes == ["replaced", "appended"])
    }
}
