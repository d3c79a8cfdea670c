import Testing

@testable import ZBigDB

@Suite("Objects in memory")
struct InstanceTests {
    @Test("H21 the cache keeps the objects loaded last; one that is held stays the only instance")
    func cache() throws {
        var configuration = Database.Configuration.small
        configuration.cachedObjects = 3
        let temporary = try TemporaryDatabase(configuration)
        let writer = try temporary.database.connect()
        let parties = (0..<10).map { Party("\($0)") }
        for party in parties { try writer.add(party) }
        try writer.commit()
        let oids = parties.compactMap(\.oid)

        let connection = try temporary.database.connect()
        func load(_ index: Int) throws -> Party { try connection.object(oids[index], as: Party.self) }
        let held = try load(0)
        for _ in 0..<2 {
            for index in oids.indices { #expect(try load(index).name == "\(index)") }
            #expect(try load(0) === held)
        }
        // The root, the one held, and three.
        #expect(connection.instances.count == 5)
        #expect(connection.instances.oids.count == 5)
        weak let last = try load(9)
        #expect(last != nil)
        for index in 1..<4 { _ = try load(index) }
        #expect(last == nil)
        connection.minimizeCache()
        #expect(connection.instances.count == 2)
    }

    @Test("new objects are held until their transaction ends; of those that nobody else holds nothing stays")
    func added() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let held = Party("held")
        var oids: [OID] = []
        for number in 0..<5000 {
            let party = number == 7 ? held : Party("\(number)")
            try connection.add(party)
            oids.append(try #require(party.oid))
        }
        // Nobody but the transaction holds them, and they are what they were.
        #expect(try connection.object(oids[3], as: Party.self).name == "3")
        try connection.commit()
        // The root and the one that is held.
        #expect(connection.instances.count == 2 && connection.instances.oids.count == 2)
        #expect(try connection.object(oids[7], as: Party.self) === held)
        let again = try connection.object(oids[3], as: Party.self)
        #expect(again.name == "3")
        again.name = "three"
        held.name = "changed"
        try connection.commit()
        let other = try temporary.database.connect()
        #expect(try other.object(oids[3], as: Party.self).name == "three")
        #expect(try other.object(oids[7], as: Party.self).name == "changed")

        let savepoint = try connection.transactionManager.current().savepoint()
        weak var later: Party?
        try {
            let party = Party("later")
            try connection.add(party)
            later = party
        }()
        #expect(later != nil)
        try savepoint.rollback()
        #expect(later == nil)
        try connection.abort()

        // An abort makes them objects of nobody.
        let aborted = Party("aborted")
        try connection.add(aborted)
        let oid = try #require(aborted.oid)
        try connection.abort()
        #expect(aborted.oid == nil && connection.instances.oids.contains(oid) == false)
        try connection.add(aborted)
        try connection.commit()
        #expect(try connection.object(try #require(aborted.oid), as: Party.self) === aborted)
    }
}
