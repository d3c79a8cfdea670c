import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Compressed arrays")
struct CompressedArrayTests {
    private static let block = Database.Configuration.small.blockSize

    private func write(_ array: BigArray, _ bytes: [UInt8], at start: Int) throws {
        try array.withUnsafeMutableBytes(of: start..<(start + bytes.count)) { $0.copyBytes(from: bytes) }
    }

    private func bytes(_ array: BigArray) throws -> [UInt8] {
        try array.withUnsafeBytes { Array($0) }
    }

    @Test(
        "random writes, commits, aborts, spills, compactions and reopenings agree with a model",
        arguments: LoadMode.allCases, [false, true])
    func model(_ mode: LoadMode, history: Bool) throws {
        var random = ArrayRandom("CompressedArrayTests.model \(mode) \(history)")
        let dtypes = [
            "<u1", "<i2", "<f4", "<f8", "[('x', '<f8'), ('y', '<f8')]", "[('name', '|S6'), ('value', '<f8')]",
        ]
        for text in dtypes {
            let dtype = try DType(descr: text)
            var configuration = mode.configuration
            configuration.keepsHistory = history
            configuration.dirtyBudget = 5 * Self.block
            let folder = try TemporaryFolder()
            var database = try Database(folder.file(), create: true, configuration: configuration)
            var connection = try database.connect()
            let count = 9 * Self.block / dtype.itemSize
            var array = try connection.createArray(
                "a", shape: [count], dtype: dtype,
                compression: .zstd(level: .random(in: 1...5, using: &random)))
            var committed = [UInt8](repeating: 0, count: array.byteCount)
            try connection.commit()
            var now = committed
            for _ in 0..<40 {
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<10:
                    let length = random.chance(50) ? .random(in: 1...100, using: &random) : 3 * Self.block
                    let kind = CompressionData.allCases.randomElement(using: &random)!
                    let new = kind.bytes(
                        .random(in: 1...length, using: &random), elementSize: dtype.itemSize, &random)
                    let start = Int.random(in: 0...(now.count - new.count), using: &random)
                    try write(array, new, at: start)
                    now.replaceSubrange(start..<(start + new.count), with: new)
                case 10..<15:
                    try connection.commit()
                    committed = now
                case 15:
                    try connection.abort()
                    now = committed
                case 16:
                    _ = try database.compact()
                    try connection.commit()
                    committed = now
                case 17:
                    let other = try database.connect()
                    #expect(try bytes(other.root.array("a")) == committed)
                    try other.close()
                default:
                    try connection.abort()
                    try connection.close()
                    try database.close()
                    if random.chance(30) {
                        _ = try Database.rewrite(folder.file(), configuration: configuration)
                    }
                    database = try Database(folder.file(), configuration: configuration)
                    connection = try database.connect()
                    array = try connection.root.array("a")
                    now = committed
                }
                try #require(try bytes(array) == now)
                if random.chance(20) {
                    var streamed: [UInt8] = []
                    try array.forEachPiece { streamed += $1 }
                    try #require(streamed == now)
                }
            }
            try connection.commit()
            #expect(try database.verify().problems == [])
            let recipes = try database.recipes(array)
            #expect(!recipes.flatMap(\.parts).contains { $0.kind == .extent })
        }
    }

    @Test("each block is encoded in the way that suits it; what does not get small can be mapped")
    func codecs() throws {
        var random = ArrayRandom("CompressedArrayTests.codecs")
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let snapshot = { try LMDBSnapshot(temporary.database.openStorage()) }
        let expected: [(CompressionData, BlockCodec)] = [
            (.counting, .shuffledZstd), (.readings, .zstd), (.noise, .none),
        ]
        for (data, codec) in expected {
            let array = try connection.createArray(
                "\(data)", shape: [2 * Self.block / 8], of: Int64.self, compression: .zstd)
            try write(array, data.bytes(2 * Self.block, elementSize: 8, &random), at: 0)
            try connection.commit()
            #expect(try temporary.database.codecs(array) == [codec])
            let sources = try snapshot().sources(
                try #require(array.file.oid), 0..<2, blockSize: Self.block)
            for source in sources {
                if case .extents = source { #expect(codec == .none) } else { #expect(codec != .none) }
            }
            let (blocks, bytes) = try array.storedBlocks()
            #expect(blocks == 2)
            #expect(codec == .none ? bytes == 2 * Self.block : bytes <= 2 * Self.block * 7 / 8)
            // What is reported is what the records have behind their headers.
            var size = 0
            for recipe in try temporary.database.recipes(array) {
                for part in recipe.parts {
                    size += try snapshot().withRecord(part.block) { $0.count - Int(part.offset) }
                }
            }
            #expect(size == bytes)
        }
    }

    @Test(
        "a change of a compressed block stores its pages; the pages of both are read",
        arguments: LoadMode.allCases)
    func deltas(_ mode: LoadMode) throws {
        var random = ArrayRandom("CompressedArrayTests.deltas")
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray(
            "a", shape: [Self.block / 4], of: Int32.self, compression: .zstd)
        var model = CompressionData.counting.bytes(Self.block, elementSize: 4, &random)
        try write(array, model, at: 0)
        try connection.commit()
        let before = try array.storedBlocks().bytes
        // One page is stored as it is, several are compressed.
        for (start, pages) in [(5, 1), (9, 3)] {
            let new = CompressionData.counting.bytes(pages * 4096, elementSize: 4, &random)
            try write(array, new, at: start * 4096)
            model.replaceSubrange((start * 4096)..<((start + pages) * 4096), with: new)
            try connection.commit()
        }
        let parts = try #require(try temporary.database.recipes(array).first).parts
        #expect(parts.map(\.kind) == [.full, .delta, .delta])
        #expect(parts.map(\.codec) == [.shuffledZstd, .none, .shuffledZstd])
        #expect(parts.map(\.livePages) == [12, 1, 3])
        #expect(try array.storedBlocks().bytes <= before + 3 * 4096)
        #expect(try bytes(array) == model)
        let other = try temporary.database.connect()
        #expect(try bytes(other.root.array("a")) == model)
        // The same bytes again are no change, of compressed pages neither.
        try write(array, model, at: 0)
        #expect(try connection.commit() == nil)
        #expect(try temporary.database.verify().problems == [])
    }

    @Test(
        "compaction joins the parts of compressed blocks and compresses again; a rewrite keeps it",
        arguments: [false, true])
    func compaction(history: Bool) throws {
        var random = ArrayRandom("CompressedArrayTests.compaction")
        let folder = try TemporaryFolder()
        var configuration = Database.Configuration.small
        configuration.keepsHistory = history
        configuration.compression = .zstd(level: 2)
        // Enough for an extent.
        let count = OpenExtent.fewestBytes
        let part = CompressionData.counting.bytes(4 * Self.block, elementSize: 8, &random)
        var model = [[UInt8]](repeating: part, count: count / part.count).flatMap { $0 }
        do {
            let database = try Database(folder.file(), create: true, configuration: configuration)
            let connection = try database.connect()
            let array = try connection.createArray("a", shape: [count / 8], of: Int64.self)
            try write(array, model, at: 0)
            try connection.commit()
            for start in stride(from: 5000, to: count, by: 3 * Self.block) {
                model[start] ^= 1
                try write(array, [model[start]], at: start)
            }
            try connection.commit()
            let report = try database.compact()
            if !history {
                #expect(report.movedBlocks > 0)
                #expect(try database.codecs(array) == [.shuffledZstd])
                #expect(try database.recipes(array).allSatisfy { $0.parts.count == 1 })
                #expect(try database.compact().movedBlocks == 0)
            }
            #expect(try database.verify().problems == [])
            try connection.close()
            try database.close()
        }
        _ = try Database.rewrite(folder.file(), configuration: .small)
        let database = try Database(folder.file())
        #expect(try database.verify().problems == [])
        #expect(try database.information().compression == .zstd(level: 2))
        let connection = try database.connect()
        let array = try connection.root.array("a")
        #expect(array.compression == .zstd(level: 2))
        #expect(try database.codecs(array).contains(.shuffledZstd))
        #expect(try array.storedBlocks().bytes < count / 4)
        #expect(try bytes(array) == model)
    }

    @Test("an option is kept with the array; states without one are of arrays that are not compressed")
    func option() throws {
        let temporary = try TemporaryDatabase()
        do {
            let connection = try temporary.database.connect()
            _ = try connection.createArray("none", shape: [9], of: UInt8.self)
            let zstd = try connection.createArray(
                "zstd", shape: [9], of: UInt8.self, compression: .zstd(level: 7))
            #expect(zstd.compression == .zstd(level: 7))
            try connection.commit()
            try connection.close()
        }
        try temporary.database.close()
        let database = try Database(temporary.path)
        let connection = try database.connect()
        for (name, compression) in [("none", ArrayCompression.none), ("zstd", .zstd(level: 7))] {
            let array = try connection.root.array(name)
            #expect(array.compression == compression)
            let oid = try #require(array.file.oid)
            let record = try #require(try LMDBSnapshot(database.openStorage()).record(RecordKey(oid)))
            guard case .state(let state) = record.value else { continue }
            let text = String(decoding: state, as: UTF8.self)
            #expect(text.contains("compression") == (compression != .none))
        }
        #expect(ArrayCompression("zstd") == .zstd)
        #expect(ArrayCompression.zstd(level: 99) == .zstd(level: 19))
        for text in ["none", "zstd:1", "zstd:19"] { #expect(ArrayCompression(text)?.description == text) }
        for text in ["", "zstd:", "zstd:0", "zstd:20", "zstd:x", "lz4", "ZSTD"] {
            #expect(ArrayCompression(text) == nil)
        }
    }

    /// Coefficients of orbits have random low bits: their blocks are just about an eighth smaller, or
    /// not, and then they are stored as they are. Whether depends on the version of zstd.
    @Test("real data stay the same and take no more room than they have bytes")
    func ephemeris() throws {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        for name in ["jpl-mars", "jpl-earthmoon", "jpl-sun"] {
            let file = try Data(contentsOf: root.appendingPathComponent("Data/de421/\(name).npy"))
            let header = try NpyHeader(parsing: Array(file))
            let values = Array(file.dropFirst(header.dataOffset).prefix(header.dataByteCount))
            let temporary = try TemporaryDatabase(Database.Configuration())
            let connection = try temporary.database.connect()
            let array = try connection.createArray(
                name, shape: header.shape, dtype: header.dtype, order: header.order, compression: .zstd)
            try write(array, values, at: 0)
            try connection.commit()
            #expect(try array.storedBlocks().bytes < values.count + systemPageSize)
            let other = try temporary.database.connect()
            #expect(try bytes(other.root.array(name)) == values)
        }
    }
}
