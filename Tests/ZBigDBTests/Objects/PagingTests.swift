import Testing

@testable import ZBigDB

/// Parts of an object are listed in pages of a thousand: each part must come once.
@Suite struct PagingTests {
    @Test("More names than a page has, each once")
    func names() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try BigArray(shape: [1], dtype: .uint8, blockSize: 16 * 4096)
        let names = (0..<2345).map { "array \($0)" }.sorted()
        for name in names { try connection.root.set(name, array) }
        try connection.commit()
        #expect(try connection.root.names() == names)
        let from = try NameKey.encode(names[999]) + [0]
        let page = try connection.snapshot.parts(of: .root, from: from, limit: 1000)
        #expect(page.count == 1000)
        #expect(page.first.flatMap { NameKey.name(of: $0.key.subkey) } == names[1000])
    }

    @Test("More blocks than a page has, counted and dropped")
    func blocks() throws {
        var configuration = Database.Configuration.small
        configuration.blockSize = 4096
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [2500 * 512], of: Int64.self)
        try array.fill(with: Int64(7))
        try connection.commit()
        #expect(try array.storedBlocks() == (2500, 2500 * 4096))
        try array.resize([100 * 512])
        try connection.commit()
        #expect(try array.storedBlocks() == (100, 100 * 4096))
        try array.resize([2500 * 512])
        #expect(try array.element(100 * 512 - 1, as: Int64.self) == 7)
        #expect(try array.element(100 * 512, as: Int64.self) == 0)
        #expect(try array.element(2500 * 512 - 1, as: Int64.self) == 0)
    }
}
