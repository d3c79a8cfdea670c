import Foundation
import Testing

@testable import ZBigDB

@Suite struct ObjectCommandTests {
    private let runner: ToolRunner

    init() throws {
        runner = try ToolRunner()
        let database = try Database(runner.file("o.zbigdb"), create: true)
        try database.write { connection in
            let account = Account()
            account.owner = Party("Ann")
            account.balance = 7
            account.opened = Date(timeIntervalSince1970: 0)
            let map = PersistentMap<String, Int>()
            try map.updateValue(1, forKey: "one")
            try map.updateValue(2, forKey: "two")
            let numbers = PersistentMap<Int, String>()
            try numbers.updateValue("five", forKey: 5)
            try connection.root.set("account", account)
            try connection.root.set("map", map)
            try connection.root.set("numbers", numbers)
            let list = PersistentList<Party>()
            try list.append(contentsOf: [Party("Bob"), Party("Cem")])
            try connection.root.set("parties", list)
            let words = PersistentList<String>()
            try words.append(contentsOf: (0..<500).map { "word \($0)" })
            try connection.root.set("words", words)
        }
        try database.close()
    }

    private func run(_ arguments: String...) throws -> ToolRunner.Result {
        try runner.run([arguments[0], "o.zbigdb"] + arguments.dropFirst())
    }

    @Test("get prints objects, properties, maps and entries of classes the tool does not have")
    func get() throws {
        let object = try run("get", "account").text
        #expect(object.contains("test.Account") && object.contains("balance: 7"))
        #expect(object.contains("owner: -> test.Party 0x") && object.contains("opened: 1970-01-01T00:00:00Z"))
        #expect(try run("get", "account", "balance").text == "7\n")
        #expect(try run("get", "map", "two").text == "2\n")
        #expect(try run("get", "numbers", "5").text == "five\n")
        let map = try run("get", "map").text
        #expect(map.contains("2 entries") && map.contains("\"one\": 1"))
        let missing = try run("get", "map", "three")
        #expect(missing.exitCode == 1 && missing.errors.contains("has no \"three\""))
        struct Facts: Decodable {
            struct Entry: Decodable {
                let key: String
                let value: Int
            }
            let `class`: String
            let entries: [Entry]
            let entryCount: Int
        }
        let facts = try run("get", "map", "--json").decoded(as: Facts.self)
        #expect(facts.class == "zbigdb.PersistentMap" && facts.entryCount == 2)
        #expect(facts.entries.map(\.key) == ["one", "two"] && facts.entries.map(\.value) == [1, 2])
    }

    @Test("set and rm change properties and entries, which a program sees")
    func set() throws {
        #expect(try run("set", "account", "balance", "-12").exitCode == 0)
        #expect(try run("set", "map", "three", "3").exitCode == 0)
        #expect(try run("set", "numbers", "6", "six").exitCode == 0)
        #expect(try run("rm", "map", "one", "-m", "no more").exitCode == 0)
        #expect(try run("set", "account", "nothing", "1").exitCode == 1)
        let database = try Database(runner.file("o.zbigdb"))
        #expect(try database.transactions(limit: 1).first?.note == "no more")
        try database.read { connection in
            let account = try #require(try connection.root.object("account", as: Account.self))
            #expect(account.balance == -12 && account.owner?.name == "Ann")
            let map = try #require(try connection.root.object("map", as: PersistentMap<String, Int>.self))
            #expect(try map.page().map(\.key) == ["three", "two"] && map.count == 2 && map["three"] == 3)
            let numbers = try #require(
                try connection.root.object("numbers", as: PersistentMap<Int, String>.self))
            #expect(try numbers[6] == "six")
        }
        try database.close()
        #expect(try run("rm", "map").exitCode == 0)
        #expect(try run("get", "map").exitCode == 1)
        #expect(try run("rm", "map").exitCode == 1)
    }

    @Test("lists are printed, and changed by index")
    func lists() throws {
        let list = try run("get", "words").text
        #expect(list.contains("zbigdb.PersistentList") && list.contains("500 elements"))
        #expect(list.contains("99: \"word 99\"") && !list.contains("word 100"))
        #expect(try run("get", "words", "300").text == "word 300\n")
        #expect(try run("get", "words", "-1").text == "word 499\n")
        #expect(try run("get", "words", "10:12").text == "word 10\nword 11\n")
        #expect(try run("get", "words", "::-200", "--json").decoded(as: [String].self).last == "word 99")
        #expect(try run("get", "words", "500").exitCode == 1)
        #expect(try run("get", "words", "first").exitCode == 1)
        #expect(try run("get", "parties", "1").text.contains("test.Party"))
        #expect(try run("set", "words", "3", "three").exitCode == 0)
        #expect(try run("set", "words", "500", "last").exitCode == 0)
        #expect(try run("set", "words", "502", "nowhere").errors.contains("out of range"))
        #expect(try run("rm", "words", "0").exitCode == 0)
        #expect(try run("rm", "words", "500").exitCode == 1)
        #expect(try run("rm", "words", "9223372036854775807").exitCode == 1)
        struct Facts: Decodable {
            let elements: [String]
            let elementCount: Int
        }
        let facts = try run("get", "words", "--json").decoded(as: Facts.self)
        #expect(facts.elementCount == 500 && facts.elements[..<3] == ["word 1", "word 2", "three"])
        let database = try Database(runner.file("o.zbigdb"))
        try database.read { connection in
            let words = try #require(try connection.root.object("words", as: PersistentList<String>.self))
            #expect(try words.count == 500 && words.last == "last" && words[0] == "word 1")
        }
        try database.close()
        #expect(try run("verify").exitCode == 0)
    }

    @Test("dump prints everything that can be reached, once")
    func dump() throws {
        let text = try run("dump").text
        #expect(text.components(separatedBy: "test.Party").count == 7)
        #expect(text.contains("0x0 zbigdb.Root") && text.contains("name: \"Ann\""))
        let json =
            try JSONSerialization.jsonObject(with: try run("dump", "--json").output) as? [[String: Any]]
        #expect(json?.count == 9)
        #expect(try run("dump", "account").text.hasPrefix("0x"))
        #expect(try run("dump", "missing").exitCode == 1)
    }
}
