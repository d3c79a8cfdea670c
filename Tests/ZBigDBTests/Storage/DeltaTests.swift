import Testing
import VirtMem

@testable import ZBigDB

@Suite("Changed pages in the file")
struct DeltaTests {
    private static let block = Database.Configuration.small.blockSize

    @Test("a commit of one element stores one page", arguments: LoadMode.allCases)
    func oneElement(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [64 * Self.block], of: UInt8.self)
        try array.setBytes(1)
        try connection.commit()
        let before = try temporary.database.information()
        let pages = try temporary.database.verify().pages
        for number in 0..<64 { try array.setElement(number * Self.block + 5 * 4096, to: UInt8(2)) }
        try connection.commit()
        let after = try temporary.database.information()
        #expect(after.blocks == before.blocks + 64)
        #expect(try temporary.database.verify().pages == pages + 64)
        // A record of one page takes two; the old blocks stay.
        #expect(after.usedBytes - before.usedBytes < 64 * 3 * 4096 + (1 << 18))
        for number in 0..<64 {
            let recipe = try array.recipe(ofBlock: number)
            #expect(recipe.parts.map(\.livePages) == [15, 1])
            #expect(recipe.parts.map(\.storedPages) == [16, 1])
        }
        let reader = try temporary.database.connect()
        let found = try reader.root.array("a").read(as: UInt8.self)
        #expect((0..<64).allSatisfy { found[$0 * Self.block + 5 * 4096] == 2 })
        #expect(found.count { $0 == 2 } == 64)
        try temporary.database.expectExactBlocks([array])
    }

    @Test("many commits of one element make the file grow by little", arguments: [false, true])
    func growth(_ keepsHistory: Bool) throws {
        var random = ArrayRandom("DeltaTests.growth \(keepsHistory)")
        var configuration = Database.Configuration.small
        configuration.keepsHistory = keepsHistory
        configuration.durability = .none
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [64 * Self.block], of: UInt8.self)
        try array.setBytes(1)
        try connection.commit()
        var model = [UInt8](repeating: 1, count: 64 * Self.block)
        let before = try temporary.database.information()
        let commits = 400
        for _ in 0..<commits {
            let at = Int.random(in: model.indices, using: &random)
            model[at] = .random(in: 2...255, using: &random)
            try array.setElement(at, to: model[at])
            try connection.commit()
        }
        let after = try temporary.database.information()
        let grown = after.usedBytes - before.usedBytes
        // Whole blocks with history would be 25 MiB.
        #expect(grown < (keepsHistory ? 12 << 20 : 6 << 20))
        #expect(after.blocks - before.blocks <= (keepsHistory ? commits : 64 * 8))
        let reader = try temporary.database.connect()
        #expect(try reader.root.array("a").read(as: UInt8.self) == model)
        #expect(try temporary.database.verify().problems == [])
        if !keepsHistory { try temporary.database.expectExactBlocks([array]) }
    }

    @Test("appends of small pieces store new pages only", arguments: [false, true])
    func appends(_ keepsHistory: Bool) throws {
        var configuration = Database.Configuration()
        configuration.keepsHistory = keepsHistory
        configuration.durability = .none
        configuration.arrayReservation = 1 << 30
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [0], of: UInt8.self)
        try connection.commit()
        var model: [UInt8] = []
        for round in 0..<300 {
            let piece = [UInt8](repeating: UInt8(round % 250 + 1), count: 10_000)
            try array.append(piece)
            model += piece
            try connection.commit()
        }
        let pages = try temporary.database.verify().pages
        // 733 pages in all, and two at the edges of each piece; stored again where parts are joined.
        #expect(pages < (keepsHistory ? 4 : 2) * (733 + 300))
        let blocks = (model.count + (2 << 20) - 1) / (2 << 20)
        for block in 0..<blocks {
            let recipe = try array.recipe(ofBlock: block)
            #expect(recipe.pieceCount <= RewritePolicy.mostPieces)
            #expect(recipe.parts.count <= 4 * RewritePolicy.mostOfClass)
        }
        let reader = try temporary.database.connect()
        #expect(try reader.root.array("a").read(as: UInt8.self) == model)
        if !keepsHistory { try temporary.database.expectExactBlocks([array]) }
    }

    @Test(
        "many small updates leave few pieces, each page the newest", arguments: LoadMode.allCases,
        [false, true]
    )
    func pieces(_ mode: LoadMode, _ keepsHistory: Bool) throws {
        var random = ArrayRandom("DeltaTests.pieces \(mode) \(keepsHistory)")
        var configuration = Database.Configuration()
        configuration.mapsBlocks = mode == .maps
        configuration.keepsHistory = keepsHistory
        configuration.durability = .none
        configuration.arrayReservation = 1 << 30
        let temporary = try TemporaryDatabase(configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [2 << 20], of: UInt8.self)
        try array.setBytes(1)
        try connection.commit()
        var model = [UInt8](repeating: 1, count: 512)
        for round in 0..<300 {
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let page = Int.random(in: 0..<512, using: &random)
                model[page] = random.chance(10) ? 0 : UInt8(round % 250 + 2)
                // Whole pages, so that some are zeros and stored nowhere.
                try array.setBytes(model[page], in: (page * 4096)..<((page + 1) * 4096))
            }
            try connection.commit()
            let recipe = try array.recipe(ofBlock: 0)
            #expect(RecipeModel.fault(recipe, 512) == nil)
            #expect(recipe.pieceCount <= 2 * RewritePolicy.mostPieces)
            #expect(recipe.parts.count <= 4 * RewritePolicy.mostOfClass + 1)
            if !keepsHistory {
                // Pages that this change made zeros were counted as kept.
                let counted = Double(recipe.pageCount + 3)
                let most = RewritePolicy.mostKept * counted + Double(RewritePolicy.keptSlack)
                #expect(Double(recipe.keptPages) <= most)
            }
        }
        let reader = try temporary.database.connect()
        try reader.root.array("a").withUnsafeBytes { bytes in
            for page in 0..<512 {
                #expect(bytes[page * 4096] == model[page] && bytes[page * 4096 + 4095] == model[page])
            }
        }
        #expect(try temporary.database.verify().problems == [])
        if !keepsHistory { try temporary.database.expectExactBlocks([array]) }
    }

    @Test("nothing is left of what became zeros or was cut off", arguments: LoadMode.allCases)
    func removal(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [400 * Self.block], of: UInt8.self)
        try connection.commit()
        let empty = try temporary.database.information().blocks
        for round in 0..<3 {
            try array.setBytes(1)
            // Together, so that they come to lie in an extent.
            try array.spill()
            try connection.commit()
            for number in stride(from: 0, to: 400, by: 7) {
                try array.setElement(number * Self.block + 3 * 4096, to: UInt8(2))
            }
            try connection.commit()
            #expect(try temporary.database.information().blocks > empty)
            switch round {
            case 0: try array.setBytes(0)
            case 1:
                try array.resize([0])
                try array.resize([400 * Self.block])
            default:
                // In two steps, the first with part of a page.
                try array.resize([3 * Self.block + 5 * 4096 + 17])
                try connection.commit()
                #expect(try array.recipe(ofBlock: 3).pageCount == 6)
                #expect(try temporary.database.information().blocks <= empty + 5)
                try temporary.database.expectExactBlocks([array])
                try array.setBytes(0)
            }
            try connection.commit()
            #expect(try temporary.database.information().blocks == empty)
            #expect(try temporary.database.shares().isEmpty)
            try temporary.database.expectExactBlocks([array])
        }
    }
}
