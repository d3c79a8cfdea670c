import Foundation
import Testing

@testable import ZBigDB

@Suite("History of objects")
struct ObjectHistoryTests {
    private let temporary: TemporaryDatabase
    private let connection: Connection
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase(.keepingHistory)
        connection = try temporary.database.connect()
    }

    private func name(_ version: ObjectVersion) -> StoredValue? {
        guard case .map(let fields) = version.state?.properties else { return nil }
        return fields.first { $0.key == .text("name") }?.value
    }

    @Test("H27 the versions of an object, newest first, with who, when and why; in pages")
    func object() throws {
        let party = Party("0")
        let other = Party("other")
        try connection.root.set("party", party)
        try connection.root.set("other", other)
        var tids = [try #require(try connection.commit(note: "new"))]
        for step in 1..<8 {
            // A transaction that has nothing to do with it.
            other.name = "other \(step)"
            try connection.commit()
            party.name = "\(step)"
            let transaction = try connection.transactionManager.current()
            transaction.user = "user \(step)"
            transaction.metadata["step"] = "\(step)"
            tids.append(try #require(try connection.commit(note: "step \(step)")))
        }
        let history = try connection.history(of: party)
        #expect(history.map(\.tid) == tids.reversed())
        #expect(history.map { name($0) } == (0..<8).reversed().map { .text("\($0)") })
        #expect(history.map(\.note) == (1..<8).reversed().map { "step \($0)" } + ["new"])
        #expect(history.first?.user == "user 7" && history.first?.metadata == ["step": "7"])
        #expect(history.allSatisfy { $0.state?.className == "test.Party" && $0.size > 10 && !$0.isRemoval })
        var paged: [ObjectVersion] = []
        while true {
            let page = try connection.history(of: party, before: paged.last?.tid, limit: 3)
            paged += page
            if page.count < 3 { break }
        }
        #expect(paged == history)
        // The past has its own history.
        let past = try database.connect(at: .transaction(tids[2]))
        #expect(try past.history(of: try #require(party.oid)).map(\.tid) == tids[...2].reversed())
    }

    @Test("H27 of a map the keys that changed, of an array its blocks, of the root its names")
    func parts() throws {
        let map = PersistentMap<String, Int>()
        try connection.root.set("map", map)
        let array = try connection.createArray("array", shape: [4 * 65536], of: UInt8.self)
        let first = try #require(try connection.commit(note: "made"))
        try map.updateValue(1, forKey: "a")
        try map.updateValue(2, forKey: "b")
        let second = try #require(try connection.commit(note: "entries"))
        try array.setElement(0, to: UInt8(1))
        try array.setElement(3 * 65536, to: UInt8(1))
        let third = try #require(try connection.commit(note: "elements"))
        try map.removeValue(forKey: "a")
        try array.resize([65536])
        let fourth = try #require(try connection.commit(note: "less"))

        let maps = try connection.history(of: map)
        #expect(maps.map(\.tid) == [fourth, second, first])
        #expect(maps.map(\.entries) == [[.text("a")], [.text("a"), .text("b")], []])
        #expect(maps.map { $0.state?.className } == [nil, nil, MapObject.className])
        let arrays = try connection.history(of: array)
        #expect(arrays.map(\.tid) == [fourth, third, first])
        #expect(arrays.map(\.blocks) == [[3], [0, 3], []])
        #expect(arrays.map { $0.state == nil } == [false, true, false])
        let names = try connection.history(of: connection.root, limit: 1)
        #expect(names.map(\.tid) == [first] && names.first?.entries == [.text("array"), .text("map")])
        #expect(try connection.history(of: map, before: fourth, limit: 1).map(\.tid) == [second])
    }

    @Test("without history there is the last state; an object that is nowhere has none")
    func noHistory() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let party = Party("0")
        #expect(throws: DatabaseError.self) { try connection.history(of: party) }
        try connection.root.set("party", party)
        try connection.commit()
        party.name = "1"
        let last = try connection.commit(note: "last")
        let history = try connection.history(of: party)
        #expect(history.map(\.tid) == [last] && history.first?.note == "last")
        #expect(try connection.history(of: OID(rawValue: 999)) == [])
    }
}
