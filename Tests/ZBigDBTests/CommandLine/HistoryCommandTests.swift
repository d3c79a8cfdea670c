import Foundation
import Testing

@testable import ZBigDB

@Suite struct HistoryCommandTests {
    private let runner: ToolRunner
    private let tids: [String]

    private struct Transaction: Decodable {
        let tid, date, note, user: String
    }

    /// A database with three transactions of the tool behind its first.
    init() throws {
        runner = try ToolRunner()
        try runner.numPy("np.save(folder + '/a.npy', np.arange(6))")
        #expect(try runner("create", "h.db", "--history").exitCode == 0)
        let database = try Database(runner.file("h.db"))
        try database.write(note: "objects") { connection in
            let party = Party("Ann")
            try connection.root.set("ann", party)
            let map = PersistentMap<String, Int>()
            try map.updateValue(1, forKey: "one")
            try connection.root.set("map", map)
        }
        try database.close()
        #expect(try runner("import", "h.db", "array", "a.npy").exitCode == 0)
        #expect(try runner("set", "h.db", "ann", "name", "Bob", "-m", "a new name").exitCode == 0)
        #expect(try runner("set", "h.db", "map", "two", "2").exitCode == 0)
        #expect(try runner("set", "h.db", "array", "0", "100").exitCode == 0)
        tids = try runner("log", "h.db", "--json").decoded(as: [Transaction].self).map(\.tid).reversed()
        #expect(tids.count == 6)
    }

    private func run(_ arguments: String...) throws -> ToolRunner.Result {
        try runner.run([arguments[0], "h.db"] + arguments.dropFirst())
    }

    @Test("--at shows the past in every command that reads: by transaction, date and tag")
    func at() throws {
        #expect(try run("get", "ann", "name").text == "Bob\n")
        #expect(try run("get", "ann", "name", "--at", tids[1]).text == "Ann\n")
        #expect(try run("get", "array", "--at", tids[2]).text == "[0 1 2 3 4 5]\n")
        #expect(try run("get", "array").text == "[100   1   2   3   4   5]\n")
        let log = try run("log", "--at", tids[3], "--json").decoded(as: [Transaction].self)
        #expect(log.map(\.tid) == tids[...3].reversed() && log.first?.note == "a new name")
        let date = log[0].date
        #expect(try run("get", "map", "--at", date).text.contains("1 entry"))
        #expect(try run("get", "ann", "name", "--at", date).text == "Bob\n")
        let plain = date.replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: "Z", with: "")
        #expect(
            try run("log", "--at", plain, "--json").decoded(as: [Transaction].self).map(\.tid)
                == log.map(\.tid))
        #expect(try runner("tag", "add", "h.db", "objects", "--at", tids[1]).text == "\(tids[1])\n")
        #expect(try run("ls", "--at", "objects").text.contains("array") == false)
        #expect(try run("ls").text.contains("array"))
        #expect(try run("stats", "array", "--at", tids[4]).text.contains("max    5"))
        #expect(try run("dump", "--at", "objects").text.contains("name: \"Ann\""))
        #expect(try run("info", "array", "--at", "objects").exitCode == 1)
        #expect(try run("info", "--at", "objects").text.contains("names are as of"))
        #expect(try run("info").text.contains("history"))
        #expect(try run("export", "array", "old.npy", "--at", tids[2]).exitCode == 0)
        #expect(try runner.numPy("print(np.load(folder + '/old.npy').tolist())") == "[0, 1, 2, 3, 4, 5]\n")
    }

    @Test("a moment that is none, is not kept or has not come is refused")
    func refused() throws {
        for (moment, part) in [
            ("nonsense", "no moment"), ("2026-13-01", "no moment"), ("2001-01-01", "not kept"),
            ("2199-01-01", "not come yet"), ("0000000000000001", "not kept"),
            ("7fffffffffffffff", "not come yet"),
        ] {
            let result = try run("ls", "--at", moment)
            #expect(result.exitCode == 1 && result.errors.contains(part), "\(moment): \(result.errors)")
            #expect(result.output.isEmpty)
        }
        #expect(try runner("create", "plain.db").exitCode == 0)
        #expect(try runner("undo", "plain.db", tids[1]).errors.contains("keeps no history"))
        #expect(try runner("tag", "add", "plain.db", "x").errors.contains("keeps no history"))
        #expect(try runner("undo", "h.db", "nonsense").exitCode == 64)
        #expect(try runner("history", "h.db", "nothing").exitCode == 1)
    }

    @Test("history lists versions of objects, entries of maps, blocks of arrays")
    func history() throws {
        struct Version: Decodable {
            struct State: Decodable { let name: String }
            let tid, note: String
            let state: State?
            let entries: [String]
            let blocks: [Int]
        }
        struct Part: Decodable {
            let tid: String
            let entries: [String]
            let blocks: [Int]
        }
        let versions = try run("history", "ann", "--json").decoded(as: [Version].self)
        #expect(versions.map(\.tid) == [tids[3], tids[1]])
        #expect(
            versions.map(\.state?.name) == ["Bob", "Ann"]
                && versions.map(\.note) == ["a new name", "objects"])
        let text = try run("history", "ann", "--limit", "1").text
        #expect(
            text.hasPrefix(tids[3]) && text.contains("    a new name\n")
                && text.contains("    name: \"Bob\"\n"))
        let entries = try run("history", "map", "--json").decoded(as: [Part].self)
        #expect(entries.map(\.tid) == [tids[4], tids[1]] && entries.map(\.entries) == [["two"], ["one"]])
        let blocks = try run("history", "array", "--json").decoded(as: [Part].self)
        #expect(blocks.map(\.tid) == [tids[5], tids[2]] && blocks.map(\.blocks) == [[0], [0]])
        #expect(try run("history", "map").text.contains("entries: \"two\""))
    }

    @Test("undo makes a transaction that gives back what was there, and lists what can be undone")
    func undo() throws {
        let list = try run("undo", "--json").decoded(as: [Transaction].self)
        #expect(list.map(\.tid) == tids[1...].reversed())
        let tid = try run("undo", tids[3], "-m", "never mind").text.trimmingCharacters(in: .newlines)
        #expect(tid.count == 16)
        #expect(try run("get", "ann", "name").text == "Ann\n" && run("get", "map", "two").text == "2\n")
        let last = try #require(
            try run("log", "--json", "--limit", "1").decoded(as: [Transaction].self).first)
        #expect(last.tid == tid && last.note == "never mind" && last.user == NSUserName())
        #expect(try run("undo", tids[3]).text == "nothing to change\n")
        let refused = try run("undo", tids[1])
        #expect(refused.exitCode == 1 && refused.errors.contains("was changed again by \(tids[4])"))
        #expect(try run("undo", tid).exitCode == 0)
        #expect(try run("get", "ann", "name").text == "Bob\n")
        #expect(try run("verify").exitCode == 0)
    }

    @Test("tags are added, listed and removed; pack leaves what they show")
    func packAndTags() throws {
        struct Report: Decodable {
            let start: String?
            let objects, versions: Int
        }
        #expect(try runner("tag", "list", "h.db").text == "No tags.\n")
        #expect(try runner("tag", "add", "h.db", "old", "--at", tids[2]).exitCode == 0)
        #expect(try runner("tag", "add", "h.db", "old").errors.contains("already"))
        #expect(try runner("tag", "list", "h.db").text.contains("old   \(tids[2])"))
        #expect(try run("rm", "array").exitCode == 0)
        let report = try run("pack", "--json").decoded(as: Report.self)
        #expect(report.objects == 0 && report.versions > 0 && report.start != nil)
        #expect(try run("get", "array", "--at", "old").text == "[0 1 2 3 4 5]\n")
        #expect(try run("get", "array", "--at", tids[3]).errors.contains("not kept"))
        #expect(try runner("tag", "rm", "h.db", "old").exitCode == 0)
        #expect(try runner("tag", "rm", "h.db", "old").exitCode == 1)
        #expect(try run("pack").text.hasPrefix("Removed "))
        #expect(try run("get", "array", "--at", "old").exitCode == 1)
        #expect(try run("pack", "--before", "2001-01-01", "--json").decoded(as: Report.self).versions == 0)
        #expect(try run("info", "--json").text.contains("\"blocks\": 0"))
        #expect(try run("verify").exitCode == 0)
    }
}
