import Foundation
import Testing

@testable import ZBigDB

@Suite("Undo")
struct UndoTests {
    private let temporary: TemporaryDatabase
    private let connection: Connection
    private var database: Database { temporary.database }
    private static let page = 4096
    private static let block = 65536

    init() throws {
        temporary = try TemporaryDatabase(.keepingHistory)
        connection = try temporary.database.connect()
        let map = PersistentMap<String, Int>()
        for (value, key) in ["a", "b", "c"].enumerated() { try map.updateValue(value, forKey: key) }
        try connection.root.set("map", map)
        try connection.root.set("party", Party("Ann"))
        try connection.root.set("counter", PersistentCounter(10))
        let array = try connection.createArray("array", shape: [4 * Self.block], of: UInt8.self)
        try array.setBytes(1)
        try connection.commit(note: "setup")
    }

    private var map: PersistentMap<String, Int> {
        get throws { try #require(try connection.root.object("map", as: PersistentMap<String, Int>.self)) }
    }
    private var party: Party {
        get throws { try #require(try connection.root.object("party", as: Party.self)) }
    }
    private var counter: PersistentCounter {
        get throws { try #require(try connection.root.object("counter", as: PersistentCounter.self)) }
    }
    private var array: BigArray { get throws { try connection.root.array("array") } }

    @discardableResult
    private func commit(_ note: String = "", _ body: () throws -> Void) throws -> TID {
        try body()
        return try #require(try connection.commit(note: note))
    }

    /// Everything there is, as text.
    private func everything() throws -> [String] {
        try connection.begin()
        var lines: [String] = []
        for name in try connection.root.names() {
            let object = try #require(try connection.root.object(name))
            try object.activate()
            if let array = object as? BigArray {
                let bytes = try array.withUnsafeBytes { Array($0) }
                lines.append("\(name) \(array.shape) \(CRC32C.checksum(bytes))")
            } else {
                let oid = try #require(object.oid)
                lines.append("\(name) \(try connection.storedObject(oid))")
                try connection.forEachStoredEntry(of: oid) { key, value in
                    lines.append("  \(key) \(value)")
                    return true
                }
            }
        }
        return lines
    }

    private func verify(_ sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try database.verify().problems == [], sourceLocation: sourceLocation)
    }

    @Test(
        "H25 properties, entries, names, elements and sizes become what they were; and undoing that does them again"
    )
    func everyKind() throws {
        let before = try everything()
        let tid = try commit("all at once") {
            try party.name = "Bob"
            try counter.increment()
            try map.updateValue(7, forKey: "b")
            try map.updateValue(8, forKey: "d")
            try map.removeValue(forKey: "a")
            try connection.root.set("new", Party("new"))
            try connection.root.set("numbers", try connection.createArray("more", shape: [9], of: Int.self))
            try connection.root.remove("counter")
            try array.setElement(3, to: UInt8(9))
            try array.resize([2 * Self.block + 100])
            try array.append([UInt8](repeating: 5, count: 70_000))
        }
        let after = try everything()
        let created = try #require(try connection.root.object("new", as: Party.self))
        let view = try array.view(as: UInt8.self)
        #expect(view[3] == 9)
        let undo = try #require(try database.undo(tid, user: "me"))
        #expect(view[3] == 9)
        #expect(try everything() == before)
        #expect(view[3] == 1)
        #expect(try map.count == 3)
        #expect(throws: DatabaseError.self) { try created.activate() }
        let logged = try #require(try database.transactions(limit: 1).first)
        #expect(logged.tid == undo && logged.user == "me" && logged.note == "undo: all at once")
        #expect(logged.metadata == ["undo": tid.description])
        try verify()
        let redo = try #require(try database.undo(undo))
        #expect(try everything() == after)
        #expect(created.name == "new")
        #expect(try map.count == 3)
        try verify()
        #expect(try database.undo(redo) != nil)
        #expect(try everything() == before)
        // It is as before it already: nothing to do.
        #expect(try database.undo(tid) == nil)
        try verify()
        #expect(
            try database.read(at: .transaction(redo)) { try $0.root.object("new", as: Party.self)?.name }
                == "new")
    }

    @Test(
        "H25 what was changed again since is refused, with the object and both transactions, and nothing changes"
    )
    func conflicts() throws {
        func refuses(_ part: String, _ oid: OID?, _ first: () throws -> Void, _ second: () throws -> Void)
            throws
        {
            let undone = try commit("first", first)
            let current = try commit("second", second)
            let before = try everything()
            let error = #expect(throws: UndoError.self) { try database.undo(undone) }
            #expect(error?.part == part)
            #expect(error?.undone == undone && error?.current == current)
            if let oid { #expect(error?.oid == oid) }
            #expect(try everything() == before)
            #expect(try database.transactions(limit: 1).first?.tid == current)
            // Both can be undone, in any order of asking.
            #expect(try database.undo([undone, current]) != nil)
            #expect(try database.undo(try #require(database.transactions(limit: 1).first?.tid)) != nil)
            #expect(try everything() == before)
        }
        try refuses("its state", party.oid, { try party.name = "1" }, { try party.name = "2" })
        try refuses(
            "entry \"a\"", map.object.oid, { try map.updateValue(1, forKey: "a") },
            {
                try map.updateValue(2, forKey: "a")
                try map.updateValue(2, forKey: "b")
            })
        try refuses(
            "entry \"a\"", map.object.oid, { try map.removeValue(forKey: "a") },
            { try map.updateValue(5, forKey: "a") })
        try refuses(
            "entry \"x\"", .root, { try connection.root.set("x", Party("1")) },
            { try connection.root.set("x", Party("2")) })
        try refuses(
            "block 1", array.file.oid, { try array.setElement(Self.block + 3, to: UInt8(2)) },
            { try array.setElement(Self.block + 4, to: UInt8(3)) })
        let error = #expect(throws: UndoError.self) {
            let tid = try commit { try party.name = "x" }
            try commit { try party.name = "y" }
            try database.undo(tid)
        }
        #expect(error?.className == "test.Party" && error?.description.contains("test.Party 0x") == true)
        try verify()
    }

    @Test("H25 a class that resolves conflicts is asked; other objects and entries changed since stay")
    func resolves() throws {
        let tid = try commit {
            try counter.increment(by: 5)
            try map.updateValue(50, forKey: "a")
        }
        try commit {
            try counter.increment(by: 100)
            try map.updateValue(60, forKey: "b")
            try party.name = "later"
        }
        #expect(try database.undo(tid) != nil)
        try connection.begin()
        #expect(try counter.value == 110)
        #expect(try map["a"] == 0 && map["b"] == 60)
        #expect(try party.name == "later")
        try verify()
    }

    @Test("H25 other pages of a block, changed since, stay; pages next to each other are a conflict")
    func pages() throws {
        func place(_ page: Int) -> Int { Self.block + page * Self.page }
        let tid = try commit { for page in [2, 3, 7] { try array.setElement(place(page), to: UInt8(10)) } }
        for page in [0, 5, 12] { try commit { try array.setElement(place(page), to: UInt8(20)) } }
        #expect(try database.undo(tid) != nil)
        try connection.begin()
        let expected: [UInt8] = [20, 1, 1, 1, 1, 20, 1, 1, 1, 1, 1, 1, 20, 1, 1, 1]
        #expect(try (0..<16).map { try array.element(place($0), as: UInt8.self) } == expected)
        try verify()
        let next = try commit { try array.setElement(place(9), to: UInt8(30)) }
        try commit { try array.setElement(place(10), to: UInt8(30)) }
        #expect(throws: UndoError.self) { try database.undo(next) }
        // Beyond the end of a block too.
        let last = try commit { try array.setElement(2 * Self.block - 1, to: UInt8(40)) }
        try commit { try array.setElement(2 * Self.block, to: UInt8(40)) }
        let error = #expect(throws: UndoError.self) { try database.undo(last) }
        #expect(error?.part == "block 2")
        try verify()
    }

    @Test(
        "H25 an array does not get shorter over what was stored since, nor is an object removed with its parts"
    )
    func cut() throws {
        let longer = try commit { try array.resize([8 * Self.block]) }
        #expect(try database.undo(longer) != nil)
        try connection.begin()
        let again = try commit { try array.resize([8 * Self.block]) }
        let current = try commit { try array.setElement(6 * Self.block, to: UInt8(3)) }
        let error = #expect(throws: UndoError.self) { try database.undo(again) }
        #expect(error?.part == "block 6" && error?.current == current)
        #expect(try database.undo([current, again]) != nil)
        try connection.begin()
        #expect(try array.shape == [4 * Self.block])
        try array.resize([8 * Self.block])
        #expect(try array.element(6 * Self.block, as: UInt8.self) == 0)
        try connection.abort()

        let created = try commit { try connection.root.set("m", PersistentMap<Int, Int>()) }
        let m = try #require(try connection.root.object("m", as: PersistentMap<Int, Int>.self))
        let filled = try commit { try m.updateValue(1, forKey: 1) }
        let refused = #expect(throws: UndoError.self) { try database.undo(created) }
        #expect(refused?.part == "entry 1" && refused?.current == filled)
        #expect(try database.undo([created, filled]) != nil)
        try verify()
    }

    @Test("H25 who stores behind the end of an array that an undo makes shorter meets a conflict")
    func storedMeanwhile() throws {
        let longer = try commit { try array.resize([8 * Self.block]) }
        let other = try database.connect()
        try other.root.array("array").setElement(7 * Self.block, to: UInt8(9))
        #expect(try database.undo(longer) != nil)
        #expect(throws: ConflictError.self) { try other.commit() }
        try other.abort()
        #expect(try other.root.array("array").shape == [4 * Self.block])
        try verify()
    }

    @Test("H25 transactions under way meet undone changes as those of any other")
    func underWay() throws {
        let tid = try commit { try party.name = "x" }
        let other = try database.connect()
        try #require(try other.root.object("party", as: Party.self)).name = "mine"
        #expect(try database.undo(tid) != nil)
        let error = #expect(throws: ConflictError.self) { try other.commit() }
        #expect(error?.base == tid)
        try other.abort()
        #expect(try other.root.object("party", as: Party.self)?.name == "Ann")
    }

    @Test(
        "H26 the undo log has what can be undone, newest first, in pages; the first transaction is not among it"
    )
    func undoLog() throws {
        var tids = [try #require(try database.transactions(limit: 1).first?.tid)]
        for step in 0..<7 { tids.append(try commit("step \(step)") { try party.name = "\(step)" }) }
        #expect(try database.undoableTransactions(limit: 100).map(\.tid) == tids.reversed())
        #expect(try database.undoableTransactions(limit: 3).map(\.note) == ["step 6", "step 5", "step 4"])
        #expect(
            try database.undoableTransactions(before: tids[3], limit: 2).map(\.tid) == [tids[2], tids[1]])
        let first = try #require(try database.transactions(limit: 100).last?.tid)
        let expected = HistoryError.notKept(
            path: temporary.path, moment: TID(rawValue: first.rawValue - 1), oldest: first)
        #expect(throws: expected) { try database.undo(first) }
        let missing = TID(rawValue: tids[2].rawValue + 1)
        #expect(throws: HistoryError.noTransaction(path: temporary.path, tid: missing)) {
            try database.undo([tids[1], missing])
        }
    }

    @Test("the log keeps what can be undone, whatever its limit")
    func logLimit() throws {
        var configuration = Database.Configuration.keepingHistory
        configuration.logLimit = 3
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        try connection.root.set("party", Party("Ann"))
        try connection.commit()
        for step in 0..<20 {
            try #require(try connection.root.object("party", as: Party.self)).name = "\(step)"
            try connection.commit()
        }
        let tids = try temporary.database.undoableTransactions(limit: 100).map(\.tid)
        #expect(tids.count == 21)
        #expect(try temporary.database.undo(tids) != nil)
        try connection.begin()
        #expect(try connection.root.names() == [])
    }

    @Test("without history, or read only, there is no undo, and the error says so")
    func refused() throws {
        let temporary = try TemporaryDatabase()
        let last = try temporary.database.read { try $0.tid }
        let expected = HistoryError.noHistory(path: temporary.path, last: last)
        #expect(throws: expected) { try temporary.database.undo(last) }
        #expect(throws: expected) { try temporary.database.undoableTransactions(limit: 1) }
    }
}
