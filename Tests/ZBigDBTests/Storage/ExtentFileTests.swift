import Testing
import VirtMem

@testable import ZBigDB

@Suite("Extents of blocks in the file")
struct ExtentFileTests {
    private static let large = 2 << 20
    /// A run of these is long enough for extents within a commit, too.
    private static let block = 1 << 20

    private func configuration(_ mode: LoadMode, blockSize: Int = 65536) -> Database.Configuration {
        var configuration = mode.configuration
        configuration.blockSize = blockSize
        configuration.durability = .none
        return configuration
    }

    /// The pages of blocks that are in extents, and how many of those lie as far from 2 MiB in the file as
    /// in memory.
    private func alignment(_ array: BigArray, _ blocks: Range<Int>) throws -> (all: Int, aligned: Int) {
        let base = UInt(bitPattern: try array.memory().baseAddress)
        var (all, aligned) = (0, 0)
        for (block, source) in zip(blocks, try array.sources(blocks)) {
            guard try array.recipe(ofBlock: block).parts.allSatisfy({ $0.kind == .extent }),
                case .extents(let extents) = source
            else { continue }
            for extent in extents {
                all += 1
                let address = base + UInt(block * array.file.blockSize + extent.blockOffset)
                if (Int(address) - extent.fileOffset) % Self.large == 0 { aligned += 1 }
            }
        }
        return (all, aligned)
    }

    /// Small blocks come in runs that are long enough only when they are stored ahead.
    @Test(
        "runs of whole blocks lie in few records, as far from 2 MiB as in memory",
        arguments: [65536, 2 << 20], [0, 5])
    func aligned(_ blockSize: Int, _ first: Int) throws {
        let temporary = try TemporaryDatabase(configuration(.maps, blockSize: blockSize))
        let database = temporary.database
        let connection = try database.connect()
        let blocks = 2 * OpenExtent.mostBytes / blockSize
        let array = try connection.createArray("a", shape: [(blocks + 5) * blockSize], of: UInt8.self)
        let range = (first * blockSize)..<((first + blocks) * blockSize)
        for round in 1...2 {
            // A small record before it, so that no place is right by chance.
            try connection.root.set("note \(round)", Note("a note"))
            try array.setBytes(UInt8(round), in: range)
            if blockSize == 65536 { try array.spill() }
            try connection.commit()
            let found = try alignment(array, first..<(first + blocks))
            #expect(found.all == blocks && found.aligned == blocks)
            #expect(try database.information().blocks == 2)
            #expect(try database.shares().values.sorted() == [blocks / 2, blocks / 2])
            try database.expectExactBlocks([array])
        }
        // What is mapped is what was written.
        let reader = try database.connect()
        try reader.root.array("a").withUnsafeBytes(of: range) { bytes in
            #expect(stride(from: 0, to: bytes.count, by: 4096).allSatisfy { bytes[$0] == 2 })
        }
    }

    @Test("blocks that are changed, thin or short runs are in records of their own")
    func exceptions() throws {
        let temporary = try TemporaryDatabase(configuration(.maps))
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [600 * 65536], of: UInt8.self)
        // Long enough; too short; long enough, but mostly zeros.
        try array.setBytes(1, in: 0..<(260 * 65536))
        try array.setBytes(1, in: (261 * 65536)..<(300 * 65536))
        for block in 301..<600 { try array.setElement(block * 65536 + 40_000, to: UInt8(1)) }
        try array.spill()
        try connection.commit()
        for block in 0..<260 { #expect(try array.recipe(ofBlock: block).parts.map(\.kind) == [.extent]) }
        for block in 261..<300 { #expect(try array.recipe(ofBlock: block).parts.map(\.kind) == [.full]) }
        for block in 301..<600 { #expect(try array.recipe(ofBlock: block).parts.map(\.kind) == [.delta]) }
        try temporary.database.expectExactBlocks([array])
    }

    @Test(
        "as many rely on an extent as name it: after changes, cuts, aborts, conflicts, in any order",
        arguments: LoadMode.allCases)
    func shares(_ mode: LoadMode) throws {
        var random = ArrayRandom("ExtentFileTests.shares \(mode)")
        let temporary = try TemporaryDatabase(configuration(mode, blockSize: Self.block))
        let database = temporary.database
        let (one, two) = (try database.connect(), try database.connect())
        let blocks = 40
        let array = try one.createArray("a", shape: [blocks * Self.block], of: UInt8.self)
        try one.commit()
        try two.begin()
        var model = [UInt8](repeating: 0, count: blocks)
        let size = { array.byteCount / Self.block }
        for round in 1...24 {
            let before = model
            let count = size()
            let byte = UInt8(round)
            switch round % 6 {
            case 1:
                // Whole again, into new extents.
                try array.resize([blocks * Self.block])
                try array.setBytes(byte)
                model = Array(repeating: byte, count: blocks)
            case 2, 3:
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    let block = Int.random(in: 0..<count, using: &random)
                    model[block] = byte
                    try array.setBytes(byte, in: (block * Self.block)..<((block + 1) * Self.block))
                }
            case 4:
                let start = Int.random(in: 0..<count, using: &random)
                let end = min(count, start + .random(in: 1...30, using: &random))
                let value = random.chance(30) ? 0 : byte
                try array.setBytes(value, in: (start * Self.block)..<(end * Self.block))
                for block in start..<end { model[block] = value }
            case 5:
                let kept = Int.random(in: 1...count, using: &random)
                try array.resize([kept * Self.block])
                for block in kept..<blocks { model[block] = 0 }
            default:
                // One page of many blocks: the extents stay in use.
                for block in 0..<count where random.chance(50) {
                    try array.setBytes(model[block], in: (block * Self.block)..<(block * Self.block + 4096))
                    try array.setElement(block * Self.block + 9 * 4096, to: UInt8(255))
                }
            }
            if random.chance(40) { try array.spill() }
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                try one.abort()
                model = before
            case 1:
                // Another changes a note that this one changes, too.
                try one.root.set("note", Note("one"))
                try two.begin()
                try two.root.set("note", Note("two"))
                try two.commit()
                #expect(throws: ConflictError.self) { try one.commit() }
                try one.abort()
                model = before
            default: try one.commit()
            }
            if random.chance(50) {
                try one.root.set("drop", Note("what was aborted goes with the next commit"))
                try one.commit()
                try database.expectExactBlocks([array])
            }
            #expect(try database.verify().problems == [])
            try two.begin()
            let second = try two.root.array("a")
            try second.withUnsafeBytes { bytes in
                for block in 0..<bytes.count / Self.block {
                    #expect(bytes[block * Self.block] == model[block])
                }
            }
        }
        try array.setBytes(0)
        try one.commit()
        #expect(try database.shares().isEmpty)
        #expect(try database.information().blocks == 0)
    }
}
