import Foundation
import Testing

@testable import ZBigDB

/// Objects that refer to each other, with everything that can be exported among them.
struct ExportedModel {
    static let elements = 40_000
    static let words = (0..<3000).map { "word \($0)" }

    static func register() {
        ClassRegistry.register(Party.self)
        ClassRegistry.register(Company.self)
        ClassRegistry.register(Account.self)
    }

    static func make(_ connection: Connection) throws {
        let (ann, bob) = (Party("Ann"), Party("Bob"))
        let company = Company("Ltd")
        company.employees = 3
        ann.friends = [bob, company]
        bob.friends = [ann]
        let account = Account()
        account.owner = ann
        account.opened = Date(timeIntervalSince1970: 1000)
        account.labels = ["a", "b"]
        account.address = Address(street: "Street", tags: ["x": [1, 2]])
        account.anything = connection.root
        let array = try BigArray(
            shape: [elements / 100, 100], dtype: .float64, order: .fortran, blockSize: 16 * 4096,
            compression: .zstd)
        account.history = array
        try connection.add(array)
        try connection.root.set("account", account)
        try array.fill(with: 1.5)
        try array.fill([.range(start: 3, stop: 300, step: 7)], with: -2.0)
        let parties = PersistentMap<String, Party>()
        for party in [ann, bob, company] { try parties.updateValue(party, forKey: party.name) }
        try connection.root.set("parties", parties)
        let set = PersistentSet<Int>()
        for number in 0..<2500 { try set.insert(number * number) }
        try connection.root.set("squares", set)
        let list = PersistentList<String>()
        try list.append(contentsOf: words)
        try connection.root.set("words", list)
        let guests = PersistentList<Party>()
        for index in 0..<700 { try guests.append(index % 2 == 0 ? ann : bob) }
        try connection.root.set("guests", guests)
        let empty = PersistentList<Int>()
        try connection.root.set("empty", empty)
        try connection.commit()
    }

    /// Looks at all of it, in objects by name.
    static func check(_ objects: [String: PersistentObject], _ connection: Connection) throws {
        let account = try #require(objects["account"] as? Account)
        let ann = try #require(account.owner)
        #expect(ann.name == "Ann" && ann.friends.map(\.name) == ["Bob", "Ltd"])
        #expect(ann.friends[0].friends.first === ann)
        #expect((ann.friends[1] as? Company)?.employees == 3)
        #expect(account.opened == Date(timeIntervalSince1970: 1000) && account.labels == ["a", "b"])
        #expect(account.address == Address(street: "Street", tags: ["x": [1, 2]]))
        #expect(account.anything === connection.root)
        let array = try #require(account.history)
        #expect(array.shape == [elements / 100, 100] && array.order == .fortran)
        #expect(array.compression == .zstd && array.file.blockSize == 16 * 4096)
        let expected = (0..<elements).map { index in
            let row = index % (elements / 100)
            return row >= 3 && row < 300 && (row - 3) % 7 == 0 ? -2.0 : 1.5
        }
        #expect(try array.withUnsafeBytes { $0.bindMemory(to: Double.self).elementsEqual(expected) })
        let parties = try PersistentMap<String, Party>.reference(to: try #require(objects["parties"]))
        #expect(try parties["Ann"] === ann && parties["Bob"] === ann.friends[0])
        #expect(try parties.page().map(\.key) == ["Ann", "Bob", "Ltd"] && parties.count == 3)
        let set = try PersistentSet<Int>.reference(to: try #require(objects["squares"]))
        #expect(try set.count == 2500 && set.contains(2499 * 2499) && !set.contains(2))
        let list = try PersistentList<String>.reference(to: try #require(objects["words"]))
        var found: [String] = []
        try list.forEach { found.append($1) }
        #expect(found == words)
        #expect(try list[1234] == "word 1234")
        let guests = try PersistentList<Party>.reference(to: try #require(objects["guests"]))
        #expect(try guests.count == 700 && guests[698] === ann && guests[699] === ann.friends[0])
        let empty = try PersistentList<Int>.reference(to: try #require(objects["empty"]))
        #expect(try empty.count == 0)
    }

    static func all(_ connection: Connection) throws -> [String: any PersistentReference] {
        var roots: [String: any PersistentReference] = [:]
        for name in try connection.root.names() { roots[name] = try connection.root.object(name) }
        return roots
    }
}
