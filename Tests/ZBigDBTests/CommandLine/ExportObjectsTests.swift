import Foundation
import Testing

@testable import ZBigDB

@Suite("zbigdb export-objects, import-objects and copy")
struct ExportObjectsTests {
    private let runner: ToolRunner

    init() throws {
        ExportedModel.register()
        runner = try ToolRunner()
        let database = try Database(runner.file("o.zbigdb"), create: true, configuration: .small)
        let connection = try database.connect()
        try ExportedModel.make(connection)
        try connection.close()
        try database.close()
        try Database(runner.file("target.zbigdb"), create: true).close()
    }

    private func check(_ name: String, prefix: String = "") throws {
        let database = try Database(runner.file(name), configuration: .small)
        let connection = try database.connect()
        var objects: [String: PersistentObject] = [:]
        for name in try connection.root.names() where name.hasPrefix(prefix) {
            objects[String(name.dropFirst(prefix.count))] = try connection.root.object(name)
        }
        try ExportedModel.check(objects, connection)
        #expect(try database.verify().problems == [])
    }

    @Test("objects of classes the tool does not have go from one database to another, into one transaction")
    func roundTrip() throws {
        let exported = try runner.run(["export-objects", "o.zbigdb", "all.objects"])
        #expect(exported.exitCode == 0 && exported.text.hasPrefix("Exported "))
        let imported = try runner.run(["import-objects", "target.zbigdb", "all.objects", "-m", "moved"])
        #expect(imported.exitCode == 0 && imported.text.contains("\"account\""))
        try check("target.zbigdb")
        let log = try runner.run(["log", "target.zbigdb"]).text
        #expect(log.contains("moved"))

        // A name that is there already, and then with other names.
        let again = try runner.run(["import-objects", "target.zbigdb", "all.objects"])
        #expect(again.exitCode == 1 && again.errors.contains("\"account\" exists already"))
        #expect(try runner.run(["log", "target.zbigdb"]).text == log)
        #expect(
            try runner.run(["import-objects", "target.zbigdb", "all.objects", "--prefix", "b/"]).exitCode == 0
        )
        try check("target.zbigdb", prefix: "b/")
        #expect(
            try runner.run(["import-objects", "target.zbigdb", "all.objects", "--replace"]).exitCode == 0)
    }

    @Test("some names, JSON, and what goes wrong")
    func some() throws {
        struct Facts: Decodable {
            let objects: Int
            let entries: Int
            let blocks: Int
            let bytes: Int
        }
        let facts = try runner.run([
            "export-objects", "o.zbigdb", "words.objects", "words", "squares", "--json",
        ])
        .decoded(as: Facts.self)
        #expect(facts.objects == 2 && facts.entries == 5500 && facts.blocks == 0 && facts.bytes > 5500)
        struct Imported: Decodable {
            let names: [String]
            let tid: String
        }
        let imported = try runner.run(["import-objects", "target.zbigdb", "words.objects", "--json"])
            .decoded(as: Imported.self)
        #expect(imported.names == ["squares", "words"])
        #expect(try runner.run(["get", "target.zbigdb", "words", "2999"]).text == "word 2999\n")

        let missing = try runner.run(["export-objects", "o.zbigdb", "x.objects", "nobody"])
        #expect(missing.exitCode == 1 && missing.errors.contains("there is no \"nobody\""))
        let taken = try runner.run(["export-objects", "o.zbigdb", "words.objects", "words"])
        #expect(taken.exitCode == 1 && taken.errors.contains("exists already"))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: runner.file("words.objects")))
        try bytes.prefix(bytes.count - 1).write(to: URL(fileURLWithPath: runner.file("cut.objects")))
        let cut = try runner.run(["import-objects", "target.zbigdb", "cut.objects", "--prefix", "c"])
        #expect(cut.exitCode == 1 && cut.errors.contains("ends early"))
        let other = try runner.run(["import-objects", "target.zbigdb", "target.zbigdb"])
        #expect(other.exitCode == 1 && other.errors.contains("no file of exported objects"))
    }

    @Test("a copy is the database")
    func copy() throws {
        let copied = try runner.run(["copy", "o.zbigdb", "copy.zbigdb"])
        #expect(copied.exitCode == 0 && copied.text.hasPrefix("Copied "))
        try check("copy.zbigdb")
        #expect(try runner.run(["log", "copy.zbigdb"]).text == runner.run(["log", "o.zbigdb"]).text)
        let taken = try runner.run(["copy", "o.zbigdb", "copy.zbigdb", "--json"])
        #expect(taken.exitCode == 1 && taken.errors.contains("exists already"))
    }
}
