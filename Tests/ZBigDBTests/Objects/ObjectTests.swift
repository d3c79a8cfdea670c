import Foundation
import Synchronization
import Testing

@testable import ZBigDB

@Suite("Objects, numbers and snapshots")
struct ObjectTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    @Test("H1 a new database has a root, number 0, made by one transaction")
    func initial() throws {
        let log = try database.transactions(limit: 10)
        #expect(log.count == 1)
        let connection = try database.connect()
        #expect(connection.root.oid == .root)
        #expect(try connection.tid == log[0].tid)
        #expect(try connection.root.names() == [])
        #expect(try connection.object(.root) === connection.root)
    }

    @Test("H2 numbers grow from 1, and are never those of a stored object")
    func numbers() throws {
        let connection = try database.connect()
        let notes = (0..<100).map { Note("\($0)") }
        for note in notes { try connection.add(note) }
        let oids = notes.compactMap(\.oid)
        #expect(oids == (1...100).map { OID(rawValue: $0) })
        try connection.root.set("last", notes[99])
        try connection.commit()
        try connection.close()
        try database.close()
        let again = try Database(temporary.path)
        let next = try again.connect()
        let added = Note("new")
        try next.add(added)
        #expect(try #require(added.oid) > OID(rawValue: 100))
        #expect(try next.note("last").oid == OID(rawValue: 100))
    }

    @Test("H2 threads that take numbers at once get different ones")
    func numbersOfThreads() async throws {
        let storage = try database.openStorage()
        let taken = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for _ in 0..<4 {
                group.addTask { try (0..<500).map { _ in try storage.reserveOIDs(upTo: 1).lowerBound } }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(taken).count == 2000)
        #expect(!taken.contains(0))
    }

    @Test("H3 tids grow strictly, also if the clock stands still or goes back")
    func tids() throws {
        let connection = try database.connect()
        let note = Note("")
        try connection.root.set("note", note)
        var tids = [try #require(try connection.commit())]
        let now = UInt64(Date().timeIntervalSince1970 * 1e6)
        #expect(tids[0].rawValue > now - 600_000_000 && tids[0].rawValue < now + 600_000_000)
        let elevenDays: UInt64 = 11 * 86_400 * 1_000_000
        for time in [now, now, now - elevenDays, 0, now + elevenDays, now] {
            try setClock { time }
            try note.set("\(time)")
            tids.append(try #require(try connection.commit()))
        }
        for (earlier, later) in zip(tids, tids.dropFirst()) { #expect(earlier < later) }
        #expect(tids[5].rawValue == now + elevenDays)
        #expect(tids[6].rawValue == now + elevenDays + 1)
        try connection.begin()
        #expect(try connection.tid == tids[6])
    }

    @Test("the clock can be asked by any number of commits")
    func clock() throws {
        let storage = try database.openStorage()
        for _ in 0..<500_000 { _ = storage.now }
    }

    private func setClock(_ time: @escaping @Sendable () -> UInt64) throws {
        let storage = try database.openStorage()
        storage.clock.withLock { $0 = .init(now: time) }
    }

    @Test("H4 a commit without changes writes no transaction")
    func emptyCommit() throws {
        let connection = try database.connect()
        let before = try connection.tid
        #expect(try connection.commit() == nil)
        #expect(try connection.commit(note: "nothing") == nil)
        try connection.root.set("note", Note("x"))
        try connection.commit()
        #expect(try database.transactions(limit: 10).count == 2)
        // Setting and removing within a transaction, and reading, are no changes either.
        let note = try connection.note("note")
        try connection.root.remove("missing")
        #expect(try connection.commit() == nil)
        try connection.readCurrent(note)
        #expect(try connection.commit() == nil)
        #expect(try database.transactions(limit: 10).count == 2)
        #expect(try connection.tid > before)
    }

    @Test("H5 an abort restores states, and new objects lose number and owner")
    func abort() throws {
        let connection = try database.connect()
        let note = Note("old")
        try connection.root.set("note", note)
        try connection.commit()
        let fresh = Note("fresh")
        try note.set("new")
        try note.set(next: fresh)
        try connection.root.set("fresh", fresh)
        #expect(fresh.oid != nil)
        #expect(note.objectStatus == .changed)
        try connection.abort()
        #expect(try note.text == "old")
        #expect(try note.next == nil)
        #expect(note.objectStatus == .saved)
        #expect(fresh.oid == nil)
        #expect(fresh.connection == nil)
        #expect(fresh.objectStatus == .unsaved)
        #expect(try connection.root.names() == ["note"])
        #expect(try connection.commit() == nil)
        // It can be added again, also elsewhere.
        let other = try database.connect()
        try other.root.set("fresh", fresh)
        try other.commit()
        try connection.begin()
        #expect(try connection.note("fresh").text == "fresh")
    }

    @Test("H5 an array whose creation was aborted can be created again")
    func abortedArray() throws {
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [10], of: Int32.self)
        try array.write((0..<10).map { Int32($0) })
        try connection.abort()
        #expect(array.oid == nil)
        #expect(throws: DatabaseError.self) { try array.read(as: Int32.self) }
        #expect(throws: DatabaseError.self) { try connection.root.array("a") }
        try connection.root.set("a", array)
        #expect(try array.read(as: Int32.self) == [Int32](repeating: 0, count: 10))
        try array.setElement(3, to: Int32(3))
        try connection.commit()
        let other = try database.connect()
        #expect(try other.root.array("a").element(3, as: Int32.self) == 3)
        #expect(try database.verify().problems == [])
    }

    @Test("H6 new objects that are reachable are stored, and found again as themselves")
    func reachable() throws {
        let connection = try database.connect()
        let (a, b, c) = (Note("a"), Note("b"), Note("c"))
        try a.set(next: b)
        try b.set(next: c)
        try c.set(next: a)
        try connection.root.set("a", a)
        try connection.commit()
        #expect(Set([a, b, c].compactMap(\.oid)).count == 3)
        let other = try database.connect()
        let first = try other.note("a")
        #expect(try first.next?.text == "b")
        #expect(try first.next?.next?.next === first)
        #expect(try other.note("a") === first)
    }

    @Test("H6 an object of another connection is refused")
    func foreign() throws {
        let (one, two) = (try database.connect(), try database.connect())
        let note = Note("x")
        try one.root.set("note", note)
        #expect(throws: DatabaseError.self) { try two.root.set("note", note) }
        try one.commit()
        #expect(throws: DatabaseError.self) { try two.root.set("note", note) }
        let mine = Note("mine", next: note)
        try two.root.set("mine", mine)
        #expect(throws: DatabaseError.self) { try two.commit() }
        try two.abort()
        #expect(try two.root.names() == ["note"])
    }

    @Test("H7 H8 reads show the start of the transaction, also of objects loaded later")
    func snapshots() throws {
        let one = try database.connect()
        for name in ["a", "b", "c"] { try one.root.set(name, Note("1")) }
        try one.commit()
        let two = try database.connect()
        let a = try two.note("a")
        #expect(try a.text == "1")
        let start = try two.tid
        for name in ["a", "b", "c"] { try one.note(name).set("2") }
        try one.root.set("d", Note("2"))
        try one.commit()
        #expect(try a.text == "1")
        #expect(try two.note("b").text == "1")
        #expect(try two.root.object("d") == nil)
        #expect(try two.tid == start)
        try two.begin()
        #expect(try a.text == "2")
        #expect(try two.note("b").text == "2")
        #expect(try two.note("d").text == "2")
        for isCommit in [false, true] {
            try one.note("a").set("after \(isCommit)")
            try one.commit()
            #expect(try a.text != "after \(isCommit)")
            if isCommit { try two.commit() } else { try two.abort() }
            #expect(try a.text == "after \(isCommit)")
        }
        // Opening a connection shows the newest state at once.
        try one.note("a").set("last")
        let tid = try one.commit()
        let three = try database.connect()
        #expect(try three.tid == tid)
    }

    @Test("H8 in explicit mode the snapshot moves at begin and after an own commit, not at an abort")
    func explicitMode() throws {
        let one = try database.connect()
        try one.root.set("a", Note("1"))
        try one.commit()
        let two = try database.connect(transactionManager: TransactionManager(explicit: true))
        let a = try two.note("a")
        #expect(throws: TransactionError.self) { try a.set("no transaction") }
        try two.begin()
        try one.note("a").set("2")
        try one.commit()
        try two.abort()
        #expect(try a.text == "1")
        try two.begin()
        #expect(try a.text == "2")
        try a.set("3")
        let tid = try two.commit()
        #expect(try two.tid == tid)
    }

    @Test("only objects that changed elsewhere are loaded again")
    func reloads() throws {
        let one = try database.connect()
        for name in ["a", "b"] { try one.root.set(name, Note("1")) }
        try one.commit()
        let two = try database.connect()
        let (a, b) = (try two.note("a"), try two.note("b"))
        _ = (try a.text, try b.text)
        try one.note("a").set("2")
        try one.commit()
        try two.begin()
        _ = (try a.text, try b.text)
        #expect(a.loads == 2)
        #expect(b.loads == 1)
        // Own changes are not loaded again.
        try b.set("3")
        try two.commit()
        _ = try b.text
        #expect(b.loads == 1)
    }
}
