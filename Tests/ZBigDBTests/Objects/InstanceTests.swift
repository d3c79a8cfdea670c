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
}
