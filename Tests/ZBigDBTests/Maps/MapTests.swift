import Foundation
import Testing

@testable import ZBigDB

private final class Folder: Persistent {
    @Persisted var name = ""
    @Persisted var files = PersistentMap<String, Folder>()
    @Persisted var sizes = PersistentMap<Int, Double>()
    @Persisted var tags = PersistentSet<String>()
    override class var className: String { "test.Folder" }
}

@Suite("Persistent maps and sets")
struct MapTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    private typealias Numbers = PersistentMap<Int, String>

    private func numbers(_ connection: Connection) throws -> Numbers {
        try #require(try connection.root.object("numbers", as: Numbers.self))
    }

    private func filled(_ range: Range<Int>) throws -> Connection {
        let connection = try database.connect()
        let map = Numbers()
        for number in range { try map.updateValue("\(number)", forKey: number) }
        try connection.root.set("numbers", map)
        try connection.commit()
        return connection
    }

    @Test("entries are found, replaced, removed and counted, before and after the commit")
    func entries() throws {
        let connection = try database.connect()
        let map = Numbers()
        #expect(try map.count == 0 && map.isEmpty && map[1] == nil)
        try map.updateValue("one", forKey: 1)
        try map.updateValue("two", forKey: 2)
        #expect(try map[1] == "one" && map.count == 2)
        try connection.root.set("numbers", map)
        #expect(try map[1] == "one" && map.count == 2)
        try connection.commit()
        #expect(try map[1] == "one" && map.count == 2)
        try map.updateValue("uno", forKey: 1)
        try map.updateValue("three", forKey: 3)
        #expect(try map.removeValue(forKey: 2))
        #expect(try !map.removeValue(forKey: 2) && !map.removeValue(forKey: 9))
        #expect(try map[1] == "uno" && map[2] == nil && map[3] == "three" && map.count == 2)
        #expect(try !map.contains(2) && map.contains(3))
        // Others see nothing of it before the commit.
        let other = try database.connect()
        let seen = try numbers(other)
        #expect(try seen[1] == "one" && seen[2] == "two" && seen[3] == nil && seen.count == 2)
        try connection.commit()
        #expect(try seen[1] == "one" && seen.count == 2)
        try other.begin()
        #expect(try seen[1] == "uno" && seen[2] == nil && seen[3] == "three" && seen.count == 2)
        try map.updateValue("gone", forKey: 4)
        try connection.abort()
        #expect(try map[4] == nil && map.count == 2)
        // A new map keeps its entries through an abort, as objects keep their properties.
        let new = Numbers()
        try new.updateValue("kept", forKey: 1)
        try connection.root.set("new", new)
        try connection.abort()
        #expect(try new[1] == "kept")
        try connection.root.set("new", new)
        try connection.commit()
        #expect(try new[1] == "kept" && new.count == 1)
    }

    @Test("ranges, pages, both directions, first and last")
    func ranges() throws {
        let connection = try filled(0..<2000)
        let map = try numbers(connection)
        // Changes lie over what is stored.
        try map.removeAll(in: 500..<510)
        try map.updateValue("new", forKey: -5)
        try map.updateValue("new", forKey: 3000)
        let all = [-5] + Array(0..<500) + Array(510..<2000) + [3000]
        var seen: [Int] = []
        try map.forEach { key, _ in seen.append(key) }
        #expect(seen == all)
        seen = []
        try map.forEach(reversed: true) { key, _ in seen.append(key) }
        #expect(seen == all.reversed())
        #expect(try map.count == all.count)
        #expect(try map.page(in: 495..<513).map(\.key) == [495, 496, 497, 498, 499, 510, 511, 512])
        #expect(try map.page(in: 495...513, reversed: true, limit: 3).map(\.key) == [513, 512, 511])
        #expect(try map.page(in: ...1).map(\.key) == [-5, 0, 1])
        #expect(try map.page(in: ..<1).map(\.key) == [-5, 0])
        #expect(try map.page(in: 1999...).map(\.value) == ["1999", "new"])
        #expect(try map.page(in: MapRange.after(499), limit: 1).map(\.key) == [510])
        #expect(try map.page(in: MapRange.after(1998).and(.before(3000))).map(\.key) == [1999])
        #expect(try map.page(in: 10..<10).isEmpty && map.page(limit: 0).isEmpty)
        #expect(try map.first()?.key == -5 && map.last()?.key == 3000)
        #expect(try map.first(in: 500...)?.key == 510 && map.last(in: ..<510)?.key == 499)
        #expect(try map.count(in: 0..<1000) == 990)
        var entries = try map.entries(in: 1998...)
        #expect(try entries.next()?.key == 1998)
        #expect(try entries.next()?.value == "1999")
        #expect(try entries.next()?.key == 3000)
        #expect(try entries.next() == nil)
        #expect(try entries.next() == nil)
        // Page after page.
        var pages: [Int] = []
        var range = MapRange<Int>.all
        while true {
            let page = try map.page(in: range, limit: 77)
            pages += page.map(\.key)
            guard let last = page.last, page.count == 77 else { break }
            range = .after(last.key)
        }
        #expect(pages == all)
    }

    @Test("different entries do not conflict, not even in their number; the same entry does")
    func conflicts() throws {
        let one = try filled(0..<10)
        let two = try database.connect()
        let (mine, yours) = (try numbers(one), try numbers(two))
        try mine.updateValue("a", forKey: 100)
        try mine.removeValue(forKey: 0)
        try yours.updateValue("b", forKey: 101)
        try yours.updateValue("b", forKey: 102)
        try yours.updateValue("changed", forKey: 1)
        try one.commit()
        try two.commit()
        #expect(try yours.count == 12)
        try one.begin()
        #expect(try mine.count == 12 && mine[1] == "changed")

        func conflict(_ first: (Numbers) throws -> Void, _ second: (Numbers) throws -> Void) throws
            -> ConflictError?
        {
            try conflictOfCommits(of: one, { try first(mine) }, of: two, { try second(yours) })
        }
        let error = try conflict(
            { try $0.updateValue("x", forKey: 5) }, { try $0.updateValue("y", forKey: 5) })
        #expect(error?.className == "zbigdb.PersistentMap")
        #expect(error?.oid == mine.object.oid)
        #expect(error?.part == "entry 5")
        #expect(
            try conflict({ try $0.updateValue("x", forKey: 300) }, { try $0.updateValue("y", forKey: 300) })
                != nil)
        #expect(
            try conflict({ try $0.removeValue(forKey: 5) }, { try $0.updateValue("y", forKey: 5) }) != nil)
        #expect(
            try conflict({ try $0.updateValue("x", forKey: 6) }, { try $0.removeValue(forKey: 6) }) != nil)
        #expect(try conflict({ try $0.removeValue(forKey: 7) }, { try $0.removeValue(forKey: 7) }) != nil)
        #expect(
            try conflict({ try $0.updateValue("x", forKey: 400) }, { try $0.updateValue("y", forKey: 401) })
                == nil)
        try one.begin()
        var count = 0
        try mine.forEach { _, _ in count += 1 }
        #expect(try mine.count == count)
    }

    @Test("maps are properties of objects, and objects are values of maps, which keep their identity")
    func nested() throws {
        let connection = try database.connect()
        let top = Folder()
        top.name = "top"
        let inner = Folder()
        inner.name = "inner"
        try top.files.updateValue(inner, forKey: "inner")
        try top.files.updateValue(top, forKey: "self")
        try inner.sizes.updateValue(2.5, forKey: 1)
        try inner.tags.insert("x")
        try connection.root.set("top", top)
        try connection.commit()
        let other = try database.connect()
        let read = try #require(try other.root.object("top", as: Folder.self))
        #expect(try read.files["self"] === read)
        let found = try #require(try read.files["inner"])
        #expect(found.name == "inner")
        #expect(try found.sizes[1] == 2.5 && found.tags.contains("x") && found.tags.count == 1)
        #expect(try read.files["inner"] === found)
        // Changing an entry of a property's map does not change the object that has the property.
        try found.tags.insert("y")
        #expect(found.objectStatus == .saved)
        try other.commit()
        try connection.begin()
        #expect(try inner.tags.page() == ["x", "y"])
        #expect(try inner.tags.first() == "x" && inner.tags.last() == "y" && inner.tags.remove("x"))
        #expect(try inner.tags.count == 1)
        try connection.abort()
        // A map can be a value of a map.
        let outer = PersistentMap<String, PersistentMap<Int, Bool>>()
        let deep = PersistentMap<Int, Bool>()
        try deep.updateValue(true, forKey: 1)
        try outer.updateValue(deep, forKey: "deep")
        try connection.root.set("outer", outer)
        try connection.commit()
        try other.begin()
        let again = try #require(
            try other.root.object("outer", as: PersistentMap<String, PersistentMap<Int, Bool>>.self))
        #expect(try again["deep"]?[1] == true)
    }

    @Test("keys and values of other types than stored are typed errors")
    func wrongTypes() throws {
        let connection = try filled(0..<3)
        let texts = try #require(
            try connection.root.object("numbers", as: PersistentMap<String, String>.self))
        #expect(throws: DatabaseError.self) { try texts.page() }
        let doubles = try #require(try connection.root.object("numbers", as: PersistentMap<Int, Double>.self))
        #expect(throws: DatabaseError.self) { try doubles[1] }
        #expect(throws: DatabaseError.self) { try connection.root.object("numbers", as: Folder.self) }
        #expect(throws: StorageError.self) {
            try texts.updateValue("", forKey: String(repeating: "x", count: 600))
        }
    }

    @Test("random changes of two connections against a model, with aborts, conflicts and ranges")
    func model() throws {
        var random = ArrayRandom("maps against a model")
        let setup = try database.connect()
        try setup.root.set("numbers", Numbers())
        try setup.commit()
        try setup.close()
        let connections = try [database.connect(), database.connect()]
        let maps = try connections.map { try numbers($0) }
        var committed: [Int: String] = [:]
        // The step an entry was committed in; and the same as each connection sees it.
        var versions: [Int: Int] = [:]
        var seen: [[Int: Int]] = [[:], [:]]
        // What each connection sees, and what it changed.
        var views: [[Int: String]] = [[:], [:]]
        var changed: [Set<Int>] = [[], []]
        for step in 0..<1500 {
            let who = Int.random(in: 0...1, using: &random)
            let (map, connection) = (maps[who], connections[who])
            let key = Int.random(in: -20...20, using: &random)
            func boundary() {
                views[who] = committed
                seen[who] = versions
                changed[who] = []
            }
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<8:
                try map.updateValue("\(step)", forKey: key)
                views[who][key] = "\(step)"
                changed[who].insert(key)
            case 8..<12:
                if try map.removeValue(forKey: key) { changed[who].insert(key) }
                views[who][key] = nil
            case 12:
                try connection.abort()
                boundary()
            case 13, 14:
                // An entry that came and went again is as if nothing had been.
                if changed[who].allSatisfy({ seen[who][$0] == versions[$0] }) {
                    try connection.commit()
                    for key in changed[who] {
                        committed[key] = views[who][key]
                        versions[key] = committed[key].map { _ in step }
                    }
                } else {
                    #expect(throws: ConflictError.self) { try connection.commit() }
                    try connection.abort()
                }
                boundary()
            default:
                let (a, b) = (key, key + Int.random(in: 0..<15, using: &random))
                let reversed = random.chance(50)
                let limit = Int.random(in: 1..<10, using: &random)
                var expected = views[who].filter { $0.key >= a && $0.key < b }.sorted { $0.key < $1.key }
                if reversed { expected.reverse() }
                let page = try map.page(in: a..<b, reversed: reversed, limit: limit)
                #expect(page.map(\.key) == expected.prefix(limit).map(\.key))
                #expect(page.map(\.value) == expected.prefix(limit).map(\.value))
                #expect(try map.count == views[who].count)
                #expect(try map[key] == views[who][key])
            }
        }
    }

    @Test("entries stream: a walk over many holds few in memory and sees one snapshot")
    func streaming() throws {
        let connection = try filled(0..<20_000)
        let map = try numbers(connection)
        let other = try database.connect()
        let theirs = try numbers(other)
        var seen = 0
        try map.forEach { key, value in
            #expect(value == "\(key)")
            if key == 100 {
                try theirs.removeAll(in: 5000..<6000)
                try other.commit()
            }
            seen += 1
        }
        #expect(seen == 20_000)
        try connection.begin()
        #expect(try map.count == 19_000)
        #expect(try map.count(in: MapRange.all) == 19_000)
        // The whole file is in order as well.
        #expect(try database.verify().problems.isEmpty)
    }

    @Test("the number is right in every snapshot, also after two-phase commits with others")
    func countOfStaged() throws {
        let connection = try filled(0..<5)
        let map = try numbers(connection)
        let old = try database.connect()
        let before = try numbers(old)
        let log = CallLog()
        try map.updateValue("x", forKey: 10)
        try map.removeValue(forKey: 0)
        try map.removeValue(forKey: 1)
        let recorder = Recorder("z", log)
        try connection.transactionManager.current().join(recorder)
        try connection.commit()
        #expect(try map.count == 4)
        #expect(try before.count == 5)
        try old.begin()
        #expect(try before.count == 4)
        try map.removeAll()
        try connection.commit()
        #expect(try map.count == 0 && map.isEmpty && map.first() == nil)
    }
}
