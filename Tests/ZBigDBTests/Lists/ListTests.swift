import Foundation
import Testing

@testable import ZBigDB

private final class Playlist: Persistent {
    @Persisted var name = ""
    @Persisted var tracks = PersistentList<Track>()
    @Persisted var ratings = PersistentList<Double?>()
    override class var className: String { "test.Playlist" }
}

private final class Track: Persistent {
    @Persisted var title = ""
    @Persisted var playlist: Playlist?
    override class var className: String { "test.Track" }

    convenience init(_ title: String) {
        self.init()
        self.title = title
    }
}

private struct Point: Codable, Equatable, PersistentValue {
    var x: Int
    var label: String?
}

/// Writes two items where one is expected.
private struct Twofold: PersistentValue {
    func encode(to encoder: inout StateEncoder) throws {
        try encoder.encode(1)
        try encoder.encode(2)
    }
    static func decode(from decoder: inout StateDecoder) throws -> Twofold { Twofold() }
}

@Suite("Persistent lists")
struct ListTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    private typealias Numbers = PersistentList<Int>

    private func numbers(_ connection: Connection) throws -> Numbers {
        try #require(try connection.root.object("numbers", as: Numbers.self))
    }

    private func filled(_ range: Range<Int>) throws -> Connection {
        let connection = try database.connect()
        let list = Numbers()
        try list.append(contentsOf: range)
        try connection.root.set("numbers", list)
        try connection.commit()
        return connection
    }

    @Test("elements are added, found, replaced, moved and removed, before and after the commit")
    func elements() throws {
        let connection = try database.connect()
        let list = Numbers()
        #expect(try list.count == 0 && list.isEmpty && list.first == nil && list.last == nil)
        try list.append(1)
        try list.append(contentsOf: [2, 3])
        try list.insert(0, at: 0)
        try list.insert(contentsOf: [10, 11], at: 2)
        try list.append(contentsOf: [])
        #expect(try list.page() == [0, 1, 10, 11, 2, 3])
        try connection.root.set("numbers", list)
        #expect(try list.page() == [0, 1, 10, 11, 2, 3])
        try connection.commit()
        #expect(try list.page() == [0, 1, 10, 11, 2, 3] && list.count == 6)
        try list.update(12, at: 3)
        try list.move(from: 2, to: 5)
        try list.move(from: 3, to: 0)
        #expect(try list.page() == [2, 0, 1, 12, 3, 10])
        #expect(try list.remove(at: 1) == 0 && list.popFirst() == 2 && list.popLast() == 10)
        #expect(try list.page() == [1, 12, 3] && list.first == 1 && list.last == 3)
        #expect(try list.firstIndex(of: 3) == 2 && list.contains(12) && !list.contains(2))
        #expect(try list.firstIndex { $0 > 1 } == 1 && !list.contains { $0 > 12 })
        // Others see nothing of it before the commit, and then at their next boundary.
        let other = try database.connect()
        let seen = try numbers(other)
        #expect(try seen.page() == [0, 1, 10, 11, 2, 3])
        try connection.commit()
        #expect(try seen.count == 6 && seen[1] == 1)
        try other.begin()
        #expect(try seen.page() == [1, 12, 3] && seen.count == 3)
        try list.removeSubrange(1...)
        try list.append(9)
        #expect(try list.page() == [1, 9])
        try connection.abort()
        #expect(try list.page() == [1, 12, 3])
    }

    @Test("indices and ranges that are not there are typed errors, and change nothing")
    func outOfRange() throws {
        let connection = try filled(0..<3)
        for list in [try numbers(connection), Numbers()] {
            if list.object.oid == nil { try list.append(contentsOf: 0..<3) }
            for index in [-1, 3, .max, .min] {
                #expect(throws: DatabaseError.self) { try list[index] }
                #expect(throws: DatabaseError.self) { try list.update(0, at: index) }
                #expect(throws: DatabaseError.self) { try list.remove(at: index) }
                #expect(throws: DatabaseError.self) { try list.move(from: index, to: 0) }
                #expect(throws: DatabaseError.self) { try list.move(from: 0, to: index) }
                if index != 3 { #expect(throws: DatabaseError.self) { try list.insert(0, at: index) } }
            }
            #expect(throws: DatabaseError.self) { try list.removeSubrange(1..<4) }
            #expect(throws: DatabaseError.self) { try list.removeSubrange(4...) }
            #expect(throws: DatabaseError.self) { try list.removeSubrange(-1..<1) }
            #expect(throws: DatabaseError.self) { try list.page(in: -1..<2) }
            #expect(try list.page(in: 2..<9) == [2] && list.page(in: 5...).isEmpty)
            #expect(
                try list.page(in: 3...) == [] && list.page(in: ...1) == [0, 1] && list.page(limit: 0) == [])
            try list.removeSubrange(3...)
            try list.removeSubrange(1..<1)
            #expect(try list.page() == [0, 1, 2])
            do {
                try list.insert(0, at: 7)
                Issue.record("an index is out of range")
            } catch DatabaseError.indexOutOfRange(let what, let index, let count) {
                #expect(what.hasPrefix("zbigdb.PersistentList") && index == 7 && count == 3)
            }
        }
        #expect(try connection.commit() == nil)
    }

    @Test("pages, ranges and walks in both directions; a walk sees the list of its beginning")
    func walking() throws {
        let connection = try filled(0..<5000)
        let list = try numbers(connection)
        #expect(try list.page(in: 495..<500) == [495, 496, 497, 498, 499])
        #expect(try list.page(in: 4998...) == [4998, 4999])
        #expect(try list.page(in: 4000..., reversed: true, limit: 2) == [4999, 4998])
        #expect(try list.page(in: 300..<900, limit: 700) == Array(300..<900))
        var elements = try list.elements(in: 4998...)
        #expect(try elements.next()?.index == 4998)
        #expect(try elements.next()?.element == 4999)
        #expect(try elements.next() == nil)
        #expect(try elements.next() == nil)
        // Changes of its own and commits of others meanwhile.
        let other = try database.connect()
        let theirs = try numbers(other)
        var seen: [Int] = []
        try list.forEach { index, element in
            #expect(index == element)
            if index == 100 {
                try theirs.removeAll()
                try other.commit()
            }
            if index % 500 == 0 { try list.insert(-1, at: 0) }
            if index == 2000 { try list.removeSubrange(2500...) }
            if index == 2100 {
                try connection.abort()
                #expect(try list.isEmpty)
            }
            seen.append(element)
        }
        #expect(seen == Array(0..<5000))
        // Page after page.
        try theirs.append(contentsOf: 0..<777)
        try other.commit()
        try connection.begin()
        var pages: [Int] = []
        while true {
            let page = try list.page(in: pages.count..., limit: 100)
            if page.isEmpty { break }
            pages += page
        }
        #expect(pages == Array(0..<777))
    }

    @Test("lists are properties of objects, and objects their elements, which keep their identity")
    func properties() throws {
        let connection = try database.connect()
        let playlist = Playlist()
        playlist.name = "mine"
        for index in 0..<1000 {
            let track = Track("\(index)")
            track.playlist = playlist
            try playlist.tracks.append(track)
        }
        try playlist.ratings.append(contentsOf: [1.5, nil, 2])
        try connection.root.set("playlist", playlist)
        try connection.commit()
        let other = try database.connect()
        let read = try #require(try other.root.object("playlist", as: Playlist.self))
        #expect(try read.tracks.count == 1000 && read.tracks[700].title == "700")
        #expect(try read.tracks[3] === read.tracks.page(in: 3..<4)[0] && read.tracks[5].playlist === read)
        #expect(try read.ratings.page() == [1.5, nil, 2])
        // A new object is stored with the list, and the object that has the list is not changed.
        try read.tracks.insert(Track("new"), at: 500)
        try read.tracks.move(from: 0, to: 1000)
        #expect(read.objectStatus == .saved)
        try other.commit()
        try connection.begin()
        #expect(try playlist.tracks[499].title == "new" && playlist.tracks[1000].title == "0")
        #expect(try playlist.tracks.firstIndex { $0.title == "999" } == 999)
        // New objects of an aborted transaction are in no database.
        let track = Track("aborted")
        try playlist.tracks.append(track)
        #expect(track.objectStatus == .changed)
        try connection.abort()
        #expect(track.objectStatus == .unsaved && track.oid == nil)
        #expect(try playlist.tracks.last?.title == "0")
        // A list of lists, and of values.
        let outer = PersistentList<PersistentList<Point>>()
        let inner = PersistentList<Point>()
        try inner.append(Point(x: 1, label: "one"))
        try outer.append(contentsOf: [inner, PersistentList()])
        try connection.root.set("outer", outer)
        try connection.commit()
        try inner.append(Point(x: 2))
        try connection.commit()
        try other.begin()
        let again = try #require(
            try other.root.object("outer", as: PersistentList<PersistentList<Point>>.self))
        #expect(try again[0].page() == [Point(x: 1, label: "one"), Point(x: 2)] && again[1].isEmpty)
        connection.minimizeCache()
        #expect(try inner.count == 2 && outer.count == 2)
    }

    @Test("elements of another type than stored, and values that are not one item, are typed errors")
    func wrongTypes() throws {
        let connection = try filled(0..<3)
        let texts = try #require(try connection.root.object("numbers", as: PersistentList<String>.self))
        #expect(throws: DatabaseError.self) { try texts[0] }
        #expect(throws: DatabaseError.self) { try texts.page() }
        #expect(throws: DatabaseError.self) { try texts.remove(at: 0) }
        #expect(throws: DatabaseError.self) {
            try connection.root.object("numbers", as: PersistentMap<Int, Int>.self)
        }
        // The elements before one that cannot be read are delivered.
        try texts.update("two", at: 2)
        let list = try numbers(connection)
        var elements = try list.elements()
        #expect(try elements.next()?.element == 0)
        #expect(try elements.next()?.element == 1)
        #expect(throws: DatabaseError.self) { try elements.next() }
        #expect(throws: DatabaseError.self) { try elements.next() }
        var backwards = try list.elements(reversed: true)
        #expect(throws: DatabaseError.self) { try backwards.next() }
        try connection.abort()
        let wrong = try #require(try connection.root.object("numbers", as: PersistentList<Twofold>.self))
        #expect(throws: EncodingError.self) { try wrong.append(Twofold()) }
        #expect(throws: EncodingError.self) { try wrong.append(contentsOf: [Twofold()]) }
        #expect(try list.page() == [0, 1, 2])
        let new = PersistentList<Twofold>()
        try new.append(Twofold())
        try connection.root.set("new", new)
        #expect(throws: EncodingError.self) { try connection.commit() }
        try connection.abort()
        try connection.close()
        #expect(throws: DatabaseError.self) { try list.count }
        #expect(throws: DatabaseError.self) { try list.append(1) }
    }

    @Test("an object of an unknown class keeps its list")
    func placeholder() throws {
        let connection = try filled(0..<1000)
        let list = try numbers(connection)
        let oid = try #require(list.object.oid)
        let holder = try NobodyKnows.add("holder", referringTo: list.object, connection)
        try connection.root.remove("numbers")
        try connection.commit()
        #expect(try database.pack().removedObjects == 0)
        let other = try database.connect()
        #expect(try other.object(holder) is UnknownObject)
        #expect(try other.object(oid, as: Numbers.self).page(in: 990...) == Array(990..<1000))
        try other.root.remove("holder")
        try other.commit()
        #expect(try database.pack().removedObjects == 2)
        #expect(try database.verify().problems == [])
    }

    @Test("200,000 elements take little more than their bytes, appended one by one or at once")
    func large() throws {
        let count = 200_000
        var sizes: [Int] = []
        for isAtOnce in [false, true] {
            let database = try TemporaryDatabase().database
            let connection = try database.connect()
            let list = Numbers()
            try connection.root.set("numbers", list)
            try connection.commit()
            if isAtOnce {
                try list.append(contentsOf: 0..<count)
            } else {
                for number in 0..<count { try list.append(number) }
            }
            try connection.commit()
            #expect(try list.count == count && list[count - 1] == count - 1)
            let information = try database.information()
            sizes.append(information.usedBytes)
            // Four bytes each in the end, in leaves of more than a hundred.
            #expect(information.usedBytes < 8 * count)
            #expect(information.records < count / 100)
            var sum = 0
            try list.forEach { _, element in sum += element }
            #expect(sum == count * (count - 1) / 2)
            // One that is inserted changes a node on each level, or two where they were full.
            let tid = try connection.tid
            try list.insert(-1, at: count / 2)
            try connection.commit()
            let change = try #require(try database.transactions(limit: 1).first?.changes)
            let oid = try #require(list.object.oid)
            #expect(change.objects[oid]?.entries.count ?? 0 <= 6)
            #expect(try connection.tid > tid && list[count / 2] == -1 && list[count] == count - 1)
            try list.removeSubrange(10..<(count - 10))
            try connection.commit()
            #expect(try list.count == 21 && database.information().records < 20)
            #expect(try database.verify().problems == [])
        }
        #expect(abs(sizes[0] - sizes[1]) < sizes[0] / 10)
    }
}

/// Stores an object of a class that no program has.
enum NobodyKnows {
    static func add(_ name: String, referringTo object: PersistentObject, _ connection: Connection) throws
        -> OID
    {
        let writer = RawRecord()
        try connection.root.set(name, writer)
        let oid = try #require(writer.oid)
        writer.records = { builder in
            var writer = CBORWriter()
            CBORValue.array([
                .text("nobody.HasALeaf"), .unsigned(1),
                .map([
                    .init(
                        key: .text("list"),
                        value: .tagged(
                            39,
                            .array([
                                .unsigned(try builder.oid(of: object).rawValue),
                                .text(object.recordClassName),
                            ])))
                ]),
            ]).encode(into: &writer)
            return [RecordWrite(key: RecordKey(oid), value: .state(writer.bytes), base: nil)]
        }
        return oid
    }
}

/// Writes any records at the commit.
final class RawRecord: PersistentObject {
    override class var className: String { "nobody.HasALeaf" }
    var records: (CommitBuilder) throws -> [RecordWrite] = { _ in [] }

    override init() { super.init() }

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        builder.writes.append(contentsOf: try records(builder))
    }
}
