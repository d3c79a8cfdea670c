import Testing

@testable import ZBigDB

@Suite("Records of many versions")
struct ManyVersionsTests {
    @Test(
        "reading passes over the versions that do not count, now and at every moment",
        arguments: LoadMode.allCases)
    func reading(_ mode: LoadMode) throws {
        var random = ArrayRandom("ManyVersionsTests \(mode)")
        var configuration = Database.Configuration.keepingHistory
        configuration.blockSize = 4096
        configuration.durability = .none
        configuration.mapsBlocks = mode == .maps
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let map = PersistentMap<Int, Int>()
        try connection.root.set("map", map)
        let array = try connection.createArray("array", shape: [8 * 4096], of: UInt8.self)
        var states: [(tid: TID, entries: [Int: Int], bytes: [UInt8])] = []
        var entries: [Int: Int] = [:]
        var bytes = [UInt8](repeating: 0, count: 8)
        for step in 0..<120 {
            // A few are changed all the time, others hardly ever.
            let key =
                [0, 0, 0, 3, 3, Int.random(in: 0..<8, using: &random)].randomElement(using: &random) ?? 0
            if random.chance(20) {
                try map.removeValue(forKey: key)
                entries[key] = nil
            } else {
                try map.updateValue(step, forKey: key)
                entries[key] = step
            }
            bytes[key] = UInt8(step + 1)
            try array.setElement(key * 4096, to: UInt8(step + 1))
            states.append((try #require(try connection.commit()), entries, bytes))
        }
        for state in states.shuffled(using: &random).prefix(40) + states.suffix(1) {
            let past = try database.connect(at: .transaction(state.tid))
            let map = try #require(try past.root.object("map", as: PersistentMap<Int, Int>.self))
            let sorted = state.entries.sorted { $0.key < $1.key }
            #expect(try map.page().map(\.key) == sorted.map(\.key))
            #expect(try map.page().map(\.value) == sorted.map(\.value))
            #expect(try map.page(limit: 2).map(\.key) == sorted.prefix(2).map(\.key))
            #expect(try map.page(reversed: true).map(\.key) == sorted.map(\.key).reversed())
            #expect(try map.count == sorted.count)
            let array = try past.root.array("array")
            #expect(try (0..<8).map { try array.element($0 * 4096, as: UInt8.self) } == state.bytes)
            #expect(try array.storedBlocks().blocks == state.bytes.count(where: { $0 > 0 }))
            try past.close()
        }
    }
}
