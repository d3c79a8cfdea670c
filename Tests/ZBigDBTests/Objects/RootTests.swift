import Testing

@testable import ZBigDB

@Suite("The directory of names")
struct RootTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    @Test("names of all kinds are kept, byte by byte, and listed in byte order")
    func names() throws {
        let connection = try database.connect()
        let names = [
            "", "\0", "\0\0", "\0\u{1}", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "hello", "hell\0",
            "12345678",
            "\u{e9}", "e\u{301}", "日本語", "👩‍👩‍👧", "\u{ff}", "\u{10ffff}", "a/b c\n",
        ]
        let longest = String(repeating: "x", count: RecordKey.longestSubkey - 3)
        for (number, name) in (names + [longest]).shuffled().enumerated() {
            try connection.root.set(name, Note("\(number): \(name)"))
        }
        let expected = (names + [longest]).map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
        #expect(try connection.root.names().map { Array($0.utf8) } == expected)
        try connection.commit()
        #expect(try connection.root.names().map { Array($0.utf8) } == expected)
        let other = try database.connect()
        #expect(try other.root.names().map { Array($0.utf8) } == expected)
        for name in names + [longest] {
            #expect(try other.note(name).text.utf8.suffix(name.utf8.count).elementsEqual(name.utf8))
        }
        #expect(try database.verify().problems == [])
    }

    @Test("other connections learn of names of any length", arguments: 0..<12)
    func lengths(_ length: Int) throws {
        let (one, two) = (try database.connect(), try database.connect())
        let name = String(repeating: "n", count: length)
        try one.root.set(name, Note("x"))
        try one.commit()
        try two.begin()
        #expect(try two.note(name).text == "x")
        try one.root.remove(name)
        try one.commit()
        try two.begin()
        #expect(try two.root.object(name) == nil)
    }

    @Test("a name that is too long is refused and changes nothing")
    func tooLong() throws {
        let connection = try database.connect()
        let limit = RecordKey.longestSubkey
        for name in [String(repeating: "x", count: limit - 2), String(repeating: "\0", count: limit / 2)] {
            let note = Note("x")
            #expect(throws: StorageError.self) { try connection.root.set(name, note) }
            #expect(throws: StorageError.self) { try connection.root.object(name) }
            #expect(throws: StorageError.self) { try connection.root.array(name) }
            #expect(note.oid == nil)
        }
        #expect(try connection.commit() == nil)
    }

    @Test("names are set, replaced and removed with the transaction")
    func changes() throws {
        let connection = try database.connect()
        let (first, second) = (Note("first"), Note("second"))
        try connection.root.set("a", first)
        #expect(try connection.root.object("a") === first)
        try connection.commit()
        try connection.root.set("a", second)
        try connection.root.set("b", first)
        #expect(try connection.root.names() == ["a", "b"])
        try connection.abort()
        #expect(try connection.root.object("a") === first)
        #expect(try connection.root.object("b") == nil)
        try connection.root.remove("a")
        #expect(try connection.root.object("a") == nil)
        #expect(try connection.root.names() == [])
        try connection.abort()
        #expect(try connection.root.names() == ["a"])
        try connection.root.remove("a")
        try connection.root.set("c", first)
        try connection.commit()
        let other = try database.connect()
        #expect(try other.root.names() == ["c"])
        #expect(try other.note("c").text == "first")
        // Set and removed in one transaction; removed and set again.
        try other.root.set("d", Note("d"))
        try other.root.remove("d")
        try other.root.remove("c")
        try other.root.set("c", Note("third"))
        try other.commit()
        try connection.begin()
        #expect(try connection.root.names() == ["c"])
        #expect(try connection.note("c").text == "third")
    }

    @Test("conflicts are per name, and name it")
    func conflicts() throws {
        let (one, two) = (try database.connect(), try database.connect())
        try one.root.set("one", Note("1"))
        try two.root.set("two", Note("2"))
        try one.commit()
        try two.commit()
        try one.begin()
        #expect(try one.root.names() == ["one", "two"])

        try one.root.set("same", Note("1"))
        try two.root.set("same", Note("2"))
        try one.commit()
        let error = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(error?.oid == .root)
        #expect(error?.className == "zbigdb.Root")
        #expect(error?.part == "entry \"same\"")
        #expect(error?.base == nil)
        try two.abort()
        #expect(try two.note("same").text == "1")

        // Removed by both, removed and replaced.
        try one.root.remove("same")
        try two.root.remove("same")
        try one.commit()
        let removed = #expect(throws: ConflictError.self) { try two.commit() }
        #expect(removed?.current == nil)
        try two.abort()
        try one.root.remove("one")
        try two.root.set("one", Note("new"))
        try two.commit()
        #expect(throws: ConflictError.self) { try one.commit() }
        try one.abort()
        #expect(try one.note("one").text == "new")
    }

    @Test("many names")
    func many() throws {
        let connection = try database.connect()
        for index in 0..<2500 { try connection.root.set("name \(index)", Note("\(index)")) }
        try connection.commit()
        let other = try database.connect()
        #expect(try other.root.names() == (0..<2500).map { "name \($0)" }.sorted())
        #expect(try other.note("name 1234").text == "1234")
    }

    @Test("asking for an array that is none, or for nothing, is a typed error")
    func wrongClass() throws {
        let connection = try database.connect()
        try connection.root.set("note", Note("x"))
        for (name, isMissing) in [("note", false), ("nothing", true)] {
            let error = #expect(throws: DatabaseError.self) { try connection.root.array(name) }
            switch error {
            case .missingName: #expect(isMissing)
            case .wrongClass: #expect(!isMissing)
            default: Issue.record("\(String(describing: error))")
            }
        }
    }
}
