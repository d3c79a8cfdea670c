import Testing

@testable import ZBigDB

@Suite("Large records")
struct LargeRecordTests {
    @Test("H47 a commit with a large record says so once in the log, and names it")
    func warning() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            [path = path as String] in
            var configuration = Database.Configuration.small
            configuration.largeRecordSize = 10_000
            let database = try Database(path, create: true, configuration: configuration)
            let connection = try database.connect()
            let map = PersistentMap<String, [UInt8]>()
            try connection.root.set("map", map)
            for number in 0..<100 {
                try map.updateValue([UInt8](repeating: 1, count: 9000), forKey: "\(number)")
            }
            try connection.commit()
            try map.updateValue([UInt8](repeating: 1, count: 10_001), forKey: "large")
            try connection.commit()
            try connection.root.set("note", Note(String(repeating: "a", count: 20_000)))
            try connection.commit()
        }
        let log = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        let warnings = log.split(separator: "\n").filter { $0.contains("large data belongs into arrays") }
        #expect(warnings.count == 2, "\(log)")
        #expect(warnings.first?.contains("entry \"large\" has 100") == true)
        #expect(warnings.last?.contains("its state has 200") == true)
    }

    @Test(
        "H47 the quota is a typed error that aborts the transaction; afterwards the database can be used on")
    func quota() throws {
        var configuration = Database.Configuration.small
        configuration.maximumSize = 8 << 20
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let map = PersistentMap<Int, [UInt8]>()
        try connection.root.set("map", map)
        try connection.commit()
        for number in 0..<20 { try map.updateValue([UInt8](repeating: 1, count: 1 << 20), forKey: number) }
        #expect(throws: StorageError.full(path: temporary.path, limit: 8 << 20)) { try connection.commit() }
        try connection.abort()
        #expect(try map.count == 0)
        try map.updateValue([1], forKey: 1)
        try connection.commit()
        #expect(try temporary.database.verify().problems == [])
    }
}
