import Foundation
import Testing

@testable import ZBigDB

@Suite("Looking at the past")
struct TimeTravelTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase(.keepingHistory) }

    /// Commits a state of objects, names, a map and an array; `step` tells which.
    private func commit(_ step: Int, _ connection: Connection) throws -> TID {
        if step == 0 {
            try connection.root.set("party", Party("0"))
            try connection.root.set("map", PersistentMap<Int, Int>())
            let array = try connection.createArray("array", shape: [3 * 65536], of: UInt8.self)
            try array.setElement(70_000, to: UInt8(200))
        }
        let party = try #require(try connection.root.object("party", as: Party.self))
        party.name = "\(step)"
        let map = try #require(try connection.root.object("map", as: PersistentMap<Int, Int>.self))
        try map.updateValue(step, forKey: step)
        try map.removeValue(forKey: step - 2)
        try connection.root.set("name \(step)", Party("named \(step)"))
        if step > 1 { try connection.root.remove("name \(step - 2)") }
        let array = try connection.root.array("array")
        try array.setElement(step * 4096, to: UInt8(step + 1))
        try array.setElement(9, to: UInt8(step + 1))
        if step == 5 { try array.resize([65536]) }
        return try #require(try connection.commit(note: "step \(step)"))
    }

    private static func expect(_ step: Int, _ connection: Connection, _ mode: LoadMode = .maps) throws {
        #expect(try connection.root.object("party", as: Party.self)?.name == "\(step)")
        let map = try #require(try connection.root.object("map", as: PersistentMap<Int, Int>.self))
        #expect(try map.page().map(\.key) == (max(0, step - 1)...step).map { $0 })
        #expect(try map.count == min(step + 1, 2))
        #expect(try map[step - 1] == (step > 0 ? step - 1 : nil))
        let names = (max(0, step - 1)...step).map { "name \($0)" }
        #expect(try connection.root.names() == (["array", "map", "party"] + names).sorted())
        #expect(try connection.root.object("name \(step)", as: Party.self)?.name == "named \(step)")
        let array = try connection.root.array("array")
        #expect(array.shape == [step < 5 ? 3 * 65536 : 65536])
        try array.withUnsafeBytes { bytes in
            let expected = (0..<15).map { $0 == 0 || $0 > step ? UInt8(0) : UInt8($0 + 1) }
            #expect((1..<15).map { bytes[$0 * 4096] } == expected.dropFirst().map { $0 })
            #expect(bytes[9] == UInt8(step + 1))
            if step < 5 { #expect(bytes[70_000] == 200) }
        }
    }

    @Test(
        "H24 objects, maps, names and arrays are as they were at each transaction",
        arguments: LoadMode.allCases)
    func everything(_ mode: LoadMode) throws {
        var configuration = Database.Configuration.keepingHistory
        configuration.mapsBlocks = mode == .maps
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        var tids: [TID] = []
        for step in 0..<7 { tids.append(try commit(step, connection)) }
        for (step, tid) in tids.enumerated().reversed() {
            let past = try database.connect(at: .transaction(tid))
            #expect(try past.tid == tid)
            try Self.expect(step, past)
            try past.close()
            if step < 6 { try database.read(at: .before(tid.next)) { try Self.expect(step, $0) } }
            // Between two transactions nothing changes.
            try database.read(at: .date(tid.date)) { try Self.expect(step, $0) }
            if step > 0 { try database.read(at: .before(tid)) { try Self.expect(step - 1, $0) } }
        }
        try Self.expect(6, connection)
    }

    @Test("H24 a connection to the past stays where it is, whatever is committed")
    func stays() async throws {
        let connection = try database.connect()
        let tid = try commit(0, connection)
        let past = try database.connect(at: .transaction(tid))
        let view = try past.root.array("array").view(as: UInt8.self)
        for step in 1..<4 {
            _ = try commit(step, connection)
            #expect(view[9] == 1)
            try Self.expect(0, past)
            try past.begin()
            try past.abort()
            #expect(try past.commit() == nil)
        }
        try Self.expect(0, past)
        #expect(try past.tid == tid)
        let name = try await database.read(at: .transaction(tid)) {
            try $0.root.object("party", as: Party.self)?.name
        }
        #expect(name == "0")
    }

    @Test("H24 the past cannot be changed: objects, names, maps, arrays")
    func readOnly() throws {
        let connection = try database.connect()
        let tid = try commit(0, connection)
        _ = try commit(1, connection)
        let expected = HistoryError.readOnly(path: temporary.path, tid: tid)
        let past = try database.connect(at: .transaction(tid))
        let party = try #require(try past.root.object("party", as: Party.self))
        let map = try #require(try past.root.object("map", as: PersistentMap<Int, Int>.self))
        let array = try past.root.array("array")
        #expect(throws: expected) { try past.root.set("new", Party("new")) }
        #expect(throws: expected) { try past.root.remove("party") }
        #expect(throws: expected) { try past.add(Party("new")) }
        #expect(throws: expected) { try map.updateValue(1, forKey: 9) }
        #expect(throws: expected) { try array.setElement(0, to: UInt8(1)) }
        #expect(throws: expected) { try array.resize([1]) }
        #expect(throws: expected) { try array.append([UInt8](repeating: 1, count: 4)) }
        #expect(try past.commit() == nil)
        // What cannot throw is refused by the commit, and dropped.
        party.name = "changed"
        #expect(throws: expected) { try past.commit() }
        try past.abort()
        #expect(party.name == "0")
        try array.view(as: UInt8.self)[9] = 77
        #expect(throws: expected) { try past.commit() }
        try past.abort()
        try Self.expect(0, past)
        let path = temporary.path
        #expect(throws: expected) {
            try database.read(at: .transaction(tid)) { connection in
                #expect(connection.path == path)
                try #require(try connection.root.object("party", as: Party.self)).name = "changed"
            }
        }
        #expect(throws: expected) {
            try database.read(at: .transaction(tid)) {
                try $0.root.array("array").view(as: UInt8.self)[9] = 77
            }
        }
        try connection.begin()
        try Self.expect(1, connection)
        #expect(try database.verify().problems == [])
    }

    @Test("H24 a future moment is refused, one before the database too, each with what is possible")
    func limits() throws {
        let connection = try database.connect()
        let first = try #require(try database.transactions(limit: 9).last).tid
        let last = try commit(0, connection)
        let path = temporary.path
        func refuses(_ moment: Moment, _ error: HistoryError) {
            #expect(throws: error) { try database.connect(at: moment) }
            #expect(throws: error) { try database.read(at: moment) { _ in } }
        }
        refuses(.transaction(last.next), .future(path: path, moment: last.next, last: last))
        refuses(.before(last.next.next), .future(path: path, moment: last.next.next, last: last))
        let later = Date(timeIntervalSinceNow: 1000)
        refuses(.date(later), .future(path: path, moment: TID(later), last: last))
        let before = TID(rawValue: first.rawValue - 1)
        refuses(.before(first), .notKept(path: path, moment: before, oldest: first))
        refuses(.transaction(.zero), .notKept(path: path, moment: .zero, oldest: first))
        refuses(.tag("x"), .noSuchTag(path: path, name: "x"))
        #expect(try database.read(at: .transaction(first)) { try $0.root.names() } == [])
        #expect(try database.read(at: .date(.now)) { try $0.tid } == last)
        try connection.close()
        try database.close()
    }

    @Test("without history there is only the present, and the error says so")
    func noHistory() throws {
        let temporary = try TemporaryDatabase()
        let database = temporary.database
        let connection = try database.connect()
        let first = try commit(0, connection)
        let last = try commit(1, connection)
        try database.read(at: .transaction(last)) { try Self.expect(1, $0) }
        try database.read(at: .date(.now)) { try Self.expect(1, $0) }
        #expect(throws: HistoryError.noHistory(path: temporary.path, last: last)) {
            try database.connect(at: .transaction(first))
        }
        #expect(throws: HistoryError.noHistory(path: temporary.path, last: last)) {
            try database.addTag("now")
        }
    }

    @Test("another process sees the same past")
    func otherProcess() async throws {
        let connection = try database.connect()
        let tid = try commit(0, connection)
        _ = try commit(1, connection)
        try connection.close()
        try database.close()
        await #expect(processExitsWith: .success) {
            [path = temporary.path as String, tid = tid.rawValue as UInt64] in
            var configuration = Database.Configuration()
            configuration.isReadOnly = true
            let database = try Database(path, configuration: configuration)
            let names = try database.read(at: .transaction(TID(rawValue: tid))) { connection in
                #expect(try connection.root.array("array").element(9, as: UInt8.self) == 1)
                return try connection.root.names()
            }
            #expect(names == ["array", "map", "name 0", "party"])
        }
    }

    @Test("tags name moments, now or in the past, once each, until they are removed")
    func tags() throws {
        let connection = try database.connect()
        let first = try commit(0, connection)
        let tag = try database.addTag("now")
        let second = try commit(1, connection)
        try database.addTag("früher", at: .transaction(first))
        #expect(tag == Tag(name: "now", tid: first))
        #expect(try database.tags() == [Tag(name: "früher", tid: first), Tag(name: "now", tid: first)])
        try database.read(at: .tag("now")) { try Self.expect(0, $0) }
        #expect(throws: HistoryError.tagExists(path: temporary.path, name: "now")) {
            try database.addTag("now")
        }
        try database.removeTag("now")
        #expect(throws: HistoryError.noSuchTag(path: temporary.path, name: "now")) {
            try database.removeTag("now")
        }
        try database.addTag("now")
        try database.read(at: .tag("now")) { try Self.expect(1, $0) }
        #expect(try database.read(at: .tag("früher")) { try $0.tid } == first)
        #expect(throws: StorageError.keyTooLong(length: 0, limit: 255)) { try database.addTag("") }
        #expect(try database.tags().last?.tid == second)
    }
}

extension Database.Configuration {
    /// Small blocks, and old versions are kept.
    static var keepingHistory: Self {
        var configuration = Self.small
        configuration.keepsHistory = true
        return configuration
    }
}
