import Foundation
import Testing

@testable import ZBigDB

@Suite("Exported objects")
struct ObjectExportTests {
    private let folder: TemporaryFolder
    private let source: Database
    private let target: Database
    private var file: String { folder.file("objects") }

    init() throws {
        ExportedModel.register()
        folder = try TemporaryFolder()
        source = try Database(folder.file("source"), create: true, configuration: .small)
        target = try Database(folder.file("target"), create: true, configuration: .small)
    }

    private func exported() throws {
        let connection = try source.connect()
        try ExportedModel.make(connection)
        try connection.exportObjects(try ExportedModel.all(connection), to: file)
        try connection.close()
    }

    @Test("H34 everything arrives in another database, before and after the commit, with numbers of its own")
    func roundTrip() throws {
        try exported()
        var connection = try target.connect()
        // Other numbers than in the source.
        for index in 0..<50 { try connection.root.set("other \(index)", Note("\(index)")) }
        try connection.commit()
        var objects = try connection.importObjects(from: file)
        try ExportedModel.check(objects, connection)
        for (name, object) in objects { try connection.root.set(name, object) }
        try ExportedModel.check(objects, connection)
        try connection.commit(note: "imported")
        try ExportedModel.check(objects, connection)
        objects = [:]
        try connection.close()
        try target.close()

        let again = try Database(folder.file("target"), configuration: .small)
        connection = try again.connect()
        for name in ["account", "parties", "squares", "words", "guests", "empty"] {
            objects[name] = try connection.root.object(name)
        }
        try ExportedModel.check(objects, connection)
        #expect(try #require(objects["account"]?.oid) > OID(rawValue: 50))
        #expect(try connection.note("other 7").text == "7")
        // What was imported can be changed like everything else.
        let list = try PersistentList<String>.reference(to: try #require(objects["words"]))
        try list.insert("new", at: 1000)
        let account = try #require(objects["account"] as? Account)
        account.balance = 5
        try connection.commit()
        #expect(try list[1000] == "new" && list.count == 3001)
        #expect(try again.verify().problems == [])
        #expect(try source.verify().problems == [])
    }

    @Test("changes between the import and the commit, also of maps and lists, become part of it")
    func changedBeforeCommit() throws {
        try exported()
        let connection = try target.connect()
        let objects = try connection.importObjects(from: file)
        for (name, object) in objects { try connection.root.set(name, object) }
        let parties = try PersistentMap<String, Party>.reference(to: try #require(objects["parties"]))
        try parties.updateValue(Party("Dan"), forKey: "Dan")
        try parties.removeValue(forKey: "Bob")
        let words = try PersistentList<String>.reference(to: try #require(objects["words"]))
        try words.insert("first", at: 0)
        try words.remove(at: 2)
        let guests = try PersistentList<Party>.reference(to: try #require(objects["guests"]))
        try guests.append(Party("Eve"))
        let savepoint = try connection.savepointOfTransaction()
        try words.removeAll()
        try savepoint.rollback()
        try connection.commit()
        let other = try target.connect()
        let stored = try #require(
            try other.root.object("parties", as: PersistentMap<String, Party>.self))
        #expect(try stored.page().map(\.key) == ["Ann", "Dan", "Ltd"] && stored["Dan"]?.name == "Dan")
        let list = try #require(try other.root.object("words", as: PersistentList<String>.self))
        #expect(try list[0] == "first" && list[1] == "word 0" && list[2] == "word 2" && list.count == 3000)
        let last = try #require(try other.root.object("guests", as: PersistentList<Party>.self))
        #expect(try last[700].name == "Eve")
        #expect(try target.verify().problems == [])
    }

    @Test(
        "H34 a file that is cut off, changed anywhere or something else is refused, and nothing of it stays")
    func damage() throws {
        try exported()
        let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
        let damaged = folder.file("damaged")
        let connection = try target.connect()
        let log = try target.transactions(limit: 10)
        var random = ArrayRandom("ObjectExportTests.damage")

        func tryImport(_ bytes: [UInt8], _ what: String) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: damaged))
            #expect(throws: ExportError.self, "\(what)") { try connection.importObjects(from: damaged) }
            #expect(try connection.commit() == nil, "\(what)")
        }
        for _ in 0..<40 {
            let end = Int.random(in: 0..<whole.count, using: &random)
            try tryImport(Array(whole[..<end]), "cut at \(end)")
        }
        for _ in 0..<80 {
            var bytes = whole
            let place = Int.random(in: 0..<(random.chance(50) ? 2000 : whole.count), using: &random)
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            try tryImport(bytes, "byte \(place)")
        }
        try tryImport(whole + [0], "more behind it")
        try tryImport(whole + whole, "twice")
        try tryImport(Array("SQLite format 3".utf8), "another format")
        #expect(throws: ExportError.notAnExport(path: damaged)) {
            try Data("something else".utf8).write(to: URL(fileURLWithPath: damaged))
            _ = try connection.importObjects(from: damaged)
        }
        #expect(throws: StorageError.notFound(path: folder.file("nothing"))) {
            try connection.importObjects(from: folder.file("nothing"))
        }
        #expect(try target.transactions(limit: 10) == log)
        #expect(
            try target.information().records
                == Database(folder.file("new"), create: true).information().records)
    }

    @Test("a file with right sums and wrong content: each kind is an error that says where")
    func wrongContent() throws {
        let connection = try target.connect()
        let map = ExportItem.object(OID(rawValue: 1), record: Self.record(MapObject.className))
        let file = ExportItem.object(
            OID(rawValue: 1),
            record: Self.record(ZBigFile.className) { writer in
                writer.map(1)
                writer.text("blockSize")
                writer.integer(4096)
            })
        let oid = OID(rawValue: 1)
        let wrong: [[ExportItem]] = [
            [.object(oid, record: [1, 2, 3])],
            [map, map],
            [.object(.root, record: Self.record(Root.className))],
            [.entry(oid, key: [0x40], value: [1])],
            [map, .entry(oid, key: [0x01], value: [1])],
            [map, .entry(oid, key: [UInt8](repeating: 0x40, count: 600), value: [1])],
            [map, .entry(oid, key: [0x40], value: [0xd8, 39, 0x82, 7, 0x61, 65])],
            [map, .elements(oid, count: 1, [1])],
            [.object(oid, record: Self.record(ListObject.className)), .elements(oid, count: 2, [1])],
            [map, .block(oid, 0, [1])],
            [file, .block(oid, 0, [UInt8](repeating: 1, count: 4097))],
            [file, .block(oid, -1, [1])],
            [file, .block(oid, 1 << 47, [1])],
            [file, .block(oid, .max, [1])],
            [file, .start([])],
            [.object(oid, record: Self.record(ZBigFile.className) { $0.map(0) }), .block(oid, 0, [1])],
            [.object(oid, record: Self.record("test.Party") { $0.text("no map") })],
        ]
        for items in wrong {
            let path = folder.file("wrong")
            try? FileManager.default.removeItem(atPath: path)
            let output = try OutputFile(path)
            for item in [.start([])] + items { try output.append(item.encoded) }
            try output.append(
                ExportItem.end(items: items.count + 1, checksum: output.checksum).encoded)
            try output.finish()
            let error = #expect(throws: ExportError.self, "\(items)") {
                try connection.importObjects(from: path)
            }
            if case .damaged = error {} else { Issue.record("\(items): \(String(describing: error))") }
            #expect(try connection.commit() == nil)
        }
        let newer = folder.file("newer")
        var item = CBORWriter()
        item.array(3)
        item.unsigned(0)
        item.text(ExportItem.title)
        item.unsigned(2)
        var writer = CBORWriter()
        writer.tag(24)
        writer.data(item.bytes)
        try Data(writer.bytes).write(to: URL(fileURLWithPath: newer))
        #expect(throws: ExportError.unsupportedVersion(path: newer, found: 2, supported: 1)) {
            try connection.importObjects(from: newer)
        }
    }

    private static func record(_ className: String, _ state: (inout CBORWriter) -> Void = { $0.map(0) })
        -> [UInt8]
    {
        var writer = CBORWriter()
        writer.array(3)
        writer.text(className)
        writer.integer(1)
        state(&writer)
        return writer.bytes
    }

    @Test(
        "an import that is aborted, rolled back or ended by its progress leaves nothing, and its objects go nowhere else"
    )
    func takenBack() throws {
        try exported()
        let connection = try target.connect()
        let kept = Note("kept")
        try connection.root.set("kept", kept)
        #expect(throws: CancellationError.self) {
            try connection.importObjects(from: file) { if $0.objects == 5 { throw CancellationError() } }
        }
        let savepoint = try connection.savepointOfTransaction()
        let rolledBack = try connection.importObjects(from: file)
        try savepoint.rollback()
        try connection.commit()
        let aborted = try connection.importObjects(from: file)
        try connection.abort()
        for object in Array(rolledBack.values) + Array(aborted.values) {
            #expect(object.oid == nil)
            #expect(throws: DatabaseError.self) { try connection.root.set("again", object) }
        }
        #expect(throws: DatabaseError.self) {
            try connection.root.set("owner", (aborted["account"] as? Account)?.owner ?? Party(""))
        }
        try connection.abort()
        #expect(try connection.root.names() == ["kept"])
        #expect(try target.information().pendingBlocks == 0)
        let plain = try Database(folder.file("plain"), create: true)
        let other = try plain.connect()
        try other.root.set("kept", Note("kept"))
        try other.commit()
        #expect(try target.information().records == plain.information().records)
        #expect(try target.verify().problems == [])
    }

    @Test("what is not committed is not exported; a name that is taken is not overwritten; no draft stays")
    func refusals() throws {
        let connection = try source.connect()
        let note = Note("one")
        #expect(throws: DatabaseError.self) { try connection.exportObjects(["note": note], to: file) }
        try connection.root.set("note", note)
        #expect(throws: DatabaseError.self) { try connection.exportObjects(["note": note], to: file) }
        try connection.commit()
        try note.set("two")
        #expect(throws: DatabaseError.self) {
            try connection.exportObjects(["root": connection.root], to: file)
        }
        let other = try source.connect()
        #expect(throws: DatabaseError.self) { try other.exportObjects(["note": note], to: file) }
        #expect(throws: CancellationError.self) {
            try connection.exportObjects(["note": note], to: file) { _ in throw CancellationError() }
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("objects") }
                == [])
        let report = try connection.exportObjects(["note": note], to: file)
        #expect(report.objects == 1 && report.bytes > 0)
        #expect(throws: StorageError.exists(path: file)) {
            try connection.exportObjects(["note": note], to: file)
        }
        // The committed state, not the changed one.
        let importing = try target.connect()
        let imported = try importing.importObjects(from: file)
        #expect(try (imported["note"] as? Note)?.text == "one")
    }

    @Test("an array larger than the dirty budget, with blocks far apart, is imported within the budget")
    func largeArray() throws {
        var configuration = Database.Configuration.small
        configuration.dirtyBudget = 8 * configuration.blockSize
        let small = try Database(folder.file("budget"), create: true, configuration: configuration)
        let from = try source.connect()
        let blocks = 200
        let array = try from.createArray(
            "array", shape: [1000 * configuration.blockSize / 8], of: Int64.self)
        let perBlock = configuration.blockSize / 8
        for block in 0..<blocks {
            try array.fill(
                [.range(start: block * 5 * perBlock, stop: block * 5 * perBlock + perBlock, step: 1)],
                with: Int64(block + 1))
        }
        try from.commit()
        let report = try from.exportObjects(["array": array], to: file)
        #expect(report.blocks == blocks && report.objects == 2)
        let connection = try small.connect()
        let imported = try #require(try connection.importObjects(from: file)["array"] as? BigArray)
        try connection.root.set("array", imported)
        try connection.commit()
        let other = try small.connect()
        let fresh = try other.root.array("array")
        for block in [0, 1, 100, blocks - 1] {
            #expect(
                try fresh.element(block * 5 * perBlock + perBlock - 1, as: Int64.self) == Int64(block + 1))
            #expect(try fresh.element(block * 5 * perBlock + perBlock, as: Int64.self) == 0)
        }
        #expect(try fresh.storedBlocks().blocks == blocks)
        #expect(try small.verify().problems == [])
    }

    @Test("objects as they were at a moment of the past are exported from there")
    func past() throws {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = true
        let history = try Database(folder.file("history"), create: true, configuration: configuration)
        let connection = try history.connect()
        let map = PersistentMap<Int, Note>()
        try connection.root.set("map", map)
        for number in 0..<10 { try map.updateValue(Note("old \(number)"), forKey: number) }
        let then = try #require(try connection.commit())
        for number in 0..<10 { try map.updateValue(Note("new \(number)"), forKey: number * 2) }
        try connection.commit()
        let past = try history.connect(at: .transaction(then))
        try past.exportObjects(try ExportedModel.all(past), to: file)
        try past.close()
        let importing = try target.connect()
        let objects = try importing.importObjects(from: file)
        let imported = try PersistentMap<Int, Note>.reference(to: try #require(objects["map"]))
        #expect(try imported.page().map { try $0.value.text } == (0..<10).map { "old \($0)" })
    }

    @Test("Python's cbor2 reads the file and finds the objects by number")
    func python() throws {
        let connection = try source.connect()
        let first = Note("first")
        try connection.root.set("first", first)
        try first.set(next: Note("second", next: first))
        try connection.commit()
        try connection.exportObjects(["first": first], to: file)
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
        let out = try cbor2(
            """
            import io, zlib
            stream = io.BytesIO(data)
            items = []
            while stream.tell() < len(data):
                item = cbor2.load(stream)
                assert item.tag == 24
                items.append(cbor2.loads(item.value))
            assert items[0][:3] == [0, 'zbigdb objects', 1]
            records = {item[1]: cbor2.loads(item[2]) for item in items if item[0] == 1}
            name, version, state = records[items[0][3]['first']]
            assert (name, version, state['text']) == ('test.Note', 1, 'first')
            next = records[state['next'].value[0]]
            assert next[2]['text'] == 'second'
            assert next[2]['next'].value[0] == items[0][3]['first']
            assert items[-1][:2] == [5, len(items) - 1]
            out = b'ok'
            """, bytes)
        #expect(out == Array("ok".utf8))
    }
}
