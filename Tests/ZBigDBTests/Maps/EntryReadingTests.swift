import Testing

@testable import ZBigDB

@Suite("Entries as they are stored")
struct EntryReadingTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    @Test("an entry that cannot be read is an error when the walk reaches it, and none under a change")
    func unreadable() throws {
        let connection = try database.connect()
        let map = PersistentMap<Int, Int>()
        for number in 0..<100 { try map.updateValue(number, forKey: number) }
        try connection.root.set("map", map)
        try connection.commit()
        let oid = try #require(map.object.oid)
        try connection.setStoredEntry(.text("no number"), for: .integer(70), of: oid)
        try connection.setStoredEntry(.integer(0), for: .text("no key"), of: oid)
        try connection.commit()

        func walk(reversed: Bool = false) -> ([Int], (any Error)?) {
            var seen: [Int] = []
            do {
                try map.forEach(reversed: reversed) { key, value in
                    #expect(key == value)
                    seen.append(key)
                }
                return (seen, nil)
            } catch {
                return (seen, error)
            }
        }
        var (seen, error) = walk()
        #expect(seen == Array(0..<70) && error is DatabaseError)
        try map.removeValue(forKey: 70)
        (seen, error) = walk()
        #expect(seen == (0..<100).filter { $0 != 70 } && error is DatabaseError)
        // Backwards the text comes first.
        (seen, error) = walk(reversed: true)
        #expect(seen.isEmpty && error is DatabaseError)
        #expect(try map.page(in: 0..<70, limit: 70).count == 70)
    }

    @Test(
        "verify compares the stored number of entries with the entries, also where old versions are kept",
        arguments: [false, true])
    func wrongNumber(_ keepsHistory: Bool) throws {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = keepsHistory
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let map = PersistentMap<Int, String>()
        for number in 0..<5 { try map.updateValue("\(number)", forKey: number) }
        try connection.root.set("map", map)
        try connection.commit()
        try map.removeValue(forKey: 2)
        try map.updateValue("new", forKey: 3)
        try connection.commit()
        #expect(try temporary.database.verify().problems == [])

        let oid = try #require(map.object.oid)
        let key = RecordKey(oid, RecordKey.countSubkey)
        let record = try #require(try connection.snapshot.record(key))
        let storage = try temporary.database.openStorage()
        try storage.environment.write { transaction throws(WriteFailure) in
            try transaction.put(
                storage.format.records, key.encoded(record.tid), EntryCount.value(5).encoded())
        }
        let problems = try temporary.database.verify().problems
        #expect(problems.map(\.oid) == [oid])
        #expect(problems.first?.what == "it is said to have 5 entries, and has 4")
        // Without a state it is being removed: packing takes that first, and the entries by and by.
        let state = try #require(try connection.snapshot.record(RecordKey(oid)))
        _ = try storage.environment.write { transaction throws(WriteFailure) in
            try transaction.delete(storage.format.records, RecordKey(oid).encoded(state.tid))
        }
        // Only the name that still leads to it is wrong.
        #expect(
            try temporary.database.verify().problems.map(\.what)
                == ["entry \"map\" refers to object \(oid), which is missing"])
        try connection.root.remove("map")
        try connection.commit()
        #expect(try temporary.database.verify().problems == [])
    }

    @Test("entries of any size come in order, a few at a time if they are large", arguments: [1, 3])
    func largeValues(versions: Int) throws {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = versions > 1
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let map = PersistentMap<Int, [UInt8]>()
        try connection.root.set("map", map)
        var sizes: [Int] = []
        for version in 1...versions {
            // Some beside the pages of the others, some that fill one nearly.
            sizes = (0..<60).map { ($0 + version) % 7 == 3 ? 700_000 : ($0 * version) % 5 * 20 }
            sizes[10] = 1900
            sizes[11 * version] = 2100
            for (key, size) in sizes.enumerated() {
                try map.updateValue([UInt8](repeating: UInt8(key + version), count: size), forKey: key)
            }
            try connection.commit()
        }
        let last = { UInt8($0 + versions) }
        for reversed in [false, true] {
            var seen: [Int] = []
            try map.forEach(reversed: reversed) { key, value in
                seen.append(key)
                #expect(value == [UInt8](repeating: last(key), count: sizes[key]))
            }
            #expect(seen == (reversed ? (0..<60).reversed() : Array(0..<60)))
            for limit in [1, 5, 9, 40] {
                let page = try map.page(in: 7..., reversed: reversed, limit: limit)
                let keys = reversed ? Array((7..<60).reversed().prefix(limit)) : Array(7..<(7 + limit))
                #expect(page.map(\.key) == keys)
                for (key, value) in page {
                    #expect(value == [UInt8](repeating: last(key), count: sizes[key]))
                }
            }
        }
        for key in 0..<60 { #expect(try map[key] == [UInt8](repeating: last(key), count: sizes[key])) }
        let oid = try #require(map.object.oid)
        for reversed in [false, true] {
            let batch = try connection.snapshot.entries(
                of: oid, in: SubkeyRange(), reversed: reversed, limit: 60)
            #expect(batch.count < 60 && !batch.isLast && batch.bytes.count < 4 << 20)
        }
    }
}
