import Foundation
import Synchronization
import Testing

@testable import ZBigDB

@Suite("Packing while others commit")
struct PackRaceTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    /// A connection that holds a map of parties and an array whose names somebody else has removed.
    private struct Holder {
        let connection: Connection
        let map: PersistentMap<Int, Party>
        let array: BigArray

        init(_ database: Database) throws {
            connection = try database.connect()
            map = PersistentMap()
            for key in 0..<2000 { try map.updateValue(Party("\(key)"), forKey: key) }
            try connection.root.set("map", map)
            array = try connection.createArray("array", shape: [40 * 65536], of: UInt8.self)
            try array.setBytes(7)
            try connection.commit()
        }

        func check(_ names: [String]) throws {
            let reader = try connection.database.connect()
            #expect(try reader.root.names() == names)
            let map = try #require(try reader.root.object("map again", as: PersistentMap<Int, Party>.self))
            #expect(try map.count == 2000)
            #expect(try map.page(limit: 3000).map(\.value.name) == (0..<2000).map { "\($0)" })
        }
    }

    private func removeNames() throws {
        try database.write { connection in
            try connection.root.remove("map")
            try connection.root.remove("array")
        }
    }

    @Test(
        "H29 what becomes reachable after the marking, and before it is removed, stays with all it leads to")
    func relinked() throws {
        let holder = try Holder(database)
        try removeNames()
        try holder.connection.begin()
        var phases: [PackProgress.Phase] = []
        let report = try database.pack { progress in
            phases.append(progress.phase)
            guard phases.count == 1 else { return }
            try holder.connection.root.set("map again", holder.map)
            try holder.connection.commit()
        }
        #expect(phases.first == .marking && phases.last == .removing)
        // The array and its file.
        #expect(report.removedObjects == 2)
        try holder.check(["map again"])
        #expect(try database.information().blocks == 0)
        #expect(try database.verify().problems == [])
    }

    @Test(
        "H29 a transaction that still sees a removed object cannot refer to it: by a name, an entry, a property",
        arguments: 0..<4)
    func staleSnapshot(_ way: Int) throws {
        let holder = try Holder(database)
        let connection = holder.connection
        let party = Party("keeper")
        let kept = PersistentMap<String, Party>()
        try connection.root.set("keeper", party)
        try connection.root.set("kept", kept)
        try connection.commit()
        let element = try #require(try holder.map[5])
        switch way {
        case 0: try connection.root.set("map again", holder.map)
        case 1: try kept.updateValue(element, forKey: "element")
        case 2: party.friends = [element]
        default:
            let new = Party("new")
            new.friends = [element]
            try connection.root.set("new", new)
        }
        try removeNames()
        #expect(try database.pack().removedObjects == 2003)
        let error = #expect(throws: ConflictError.self) { try connection.commit() }
        #expect(error?.oid == (way == 0 ? holder.map.object.oid : element.oid) && error?.current == nil)
        try connection.abort()
        // After the boundary it is known to be gone.
        #expect(throws: DatabaseError.self) { try connection.root.set("map again", holder.map) }
        try connection.abort()
        #expect(try database.read { try $0.root.names() } == ["keeper", "kept"])
        #expect(try database.verify().problems == [])
    }

    @Test(
        "H29 an object in memory whose stored one was removed cannot be stored into anything",
        arguments: [0, 1, 2])
    func staleInstance(_ way: Int) throws {
        var configuration = Database.Configuration.small
        // So short a log that the connection loads everything anew.
        if way == 2 { configuration.logLimit = 2 }
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let party = Party("Ann")
        let other = Party("Bob")
        try connection.root.set("ann", party)
        try connection.root.set("bob", other)
        try connection.commit()
        try database.write { try $0.root.remove("ann") }
        if way > 0 { try connection.begin() }
        #expect(try database.pack().removedObjects == 1)
        for step in 0..<5 { try database.write { try $0.root.set("x", Party("\(step)")) } }
        try connection.begin()
        #expect(throws: DatabaseError.self) { try connection.root.set("again", party) }
        try connection.abort()
        other.friends = [party]
        #expect(throws: DatabaseError.self) { try connection.commit() }
        try connection.abort()
        #expect(throws: DatabaseError.self) { try party.activate() }
        #expect(other.friends.isEmpty)
        try connection.commit()
        #expect(try database.verify().problems == [])
    }

    @Test("views and handles of an array that is removed show it up to the boundary")
    func views() throws {
        let holder = try Holder(database)
        let view = try holder.array.view(as: UInt8.self)
        #expect(view[0] == 7)
        try removeNames()
        try database.pack()
        #expect((0..<40).allSatisfy { view[$0 * 65536] == 7 })
        view[3] = 9
        #expect(throws: ConflictError.self) { try holder.connection.commit() }
        try holder.connection.abort()
        #expect(throws: DatabaseError.self) { try holder.array.element(0, as: UInt8.self) }
        #expect(try database.information().blocks == 0)
        #expect(try database.verify().problems == [])
    }

    @Test(
        "H29 nothing that a name leads to is ever lost while objects are taken out, held, and put back",
        arguments: [false, true])
    func movers(_ history: Bool) throws {
        var configuration = Database.Configuration.small
        configuration.durability = .none
        configuration.keepsHistory = history
        let database = try TemporaryDatabase(configuration).database
        var random = ArrayRandom("PackRaceTests.movers \(history)")
        let names = 6
        try database.write { connection in
            for index in 0..<names { try connection.root.set("\(index)", Self.tree(index)) }
        }
        let seeds = (0..<3).map { _ in random.next() }
        let isDone = Mutex(false)
        let outcomes = try inThreads(4) { thread -> (moved: Int, lost: Int) in
            if thread == 3 {
                var removed = 0
                while !isDone.withLock({ $0 }) { removed += try database.pack().removedObjects }
                return (0, removed)
            }
            defer { isDone.withLock { $0 = true } }
            return try Self.move(database, seeds[thread], names)
        }
        print("PackRaceTests.movers: moved and lost in transit", outcomes)
        try Self.checkTrees(database)
        #expect(try database.verify().problems == [])
        try database.pack()
        try Self.checkTrees(database)
        // What is left is what can be reached: no name leads to more than a tree.
        let left = try database.read { connection in
            try connection.root.names().count
        }
        if !history {
            // Each tree: three parties, a map, its entries and their count; the name; the root and its count.
            #expect(try database.information().records == left * (3 + 1 + 2 + 1) + 2)
        }
    }

    /// A party with a friend and a map with a party.
    private static func tree(_ number: Int) -> Party {
        let party = Carrier("\(number)")
        party.friends = [Party("friend of \(number)")]
        try? party.map.updateValue(Party("entry of \(number)"), forKey: number)
        return party
    }

    final class Carrier: Party {
        @Persisted var map = PersistentMap<Int, Party>()
        override class var className: String { "test.Carrier" }
    }

    private static func check(_ tree: Carrier) throws {
        try tree.activate()
        let number = try #require(Int(tree.name))
        try #require(tree.friends.first).activate()
        #expect(tree.friends.first?.name == "friend of \(number)")
        let entry = try #require(try tree.map[number])
        try entry.activate()
        #expect(entry.name == "entry of \(number)")
    }

    private static func checkTrees(_ database: Database) throws {
        try database.read { connection in
            for name in try connection.root.names() {
                try check(try #require(try connection.root.object(name, as: Carrier.self)))
            }
        }
    }

    /// Takes trees out under one name and puts them back under another, in transactions of their own.
    private static func move(_ database: Database, _ seed: UInt64, _ names: Int) throws -> (
        moved: Int, lost: Int
    ) {
        var random = ArrayRandom("PackRaceTests.move", seed: seed)
        let connection = try database.connect()
        var (moved, lost) = (0, 0)
        for step in 0..<150 {
            let from = "\(Int.random(in: 0..<names, using: &random))"
            var held: Carrier?
            do {
                try connection.begin()
                held = try connection.root.object(from, as: Carrier.self)
                if random.chance(50) { _ = try held.map { try check($0) } }
                try connection.root.remove(from)
                try connection.commit()
            } catch is ConflictError {
                try connection.abort()
                continue
            }
            if random.chance(30) { usleep(UInt32.random(in: 0...3000, using: &random)) }
            for _ in 0..<20 {
                do {
                    let to = "\(Int.random(in: 0..<names, using: &random))"
                    try connection.root.set(to, held ?? (tree(step) as? Carrier ?? Carrier()))
                    try connection.commit()
                    moved += held == nil ? 0 : 1
                    break
                } catch is ConflictError {
                    try connection.abort()
                } catch DatabaseError.missingObject {
                    // Packed away between the two transactions.
                    try connection.abort()
                    lost += 1
                    held = nil
                }
            }
            if step % 10 == 0 { try checkTrees(database) }
        }
        return (moved, lost)
    }
}
