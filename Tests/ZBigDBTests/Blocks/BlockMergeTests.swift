import Testing
import VirtMem

@testable import ZBigDB

@Suite("Bringing together what two transactions did to a block")
struct BlockMergeTests {
    private static let key = RecordKey(OID(rawValue: 9), block: 4)

    private func tid(_ number: UInt64?) -> TID? { number.map { TID(rawValue: $0) } }

    private func pages(_ list: [Int], of count: Int = 16) -> PageSet {
        var set = PageSet(pageCount: count)
        for page in list { set.insert(page) }
        return set
    }

    private func part(_ pages: [Int], id: UInt64) -> BlockPart {
        BlockPart(
            kind: .delta, block: BlockID(rawValue: id), offset: 4080, storedPages: UInt32(pages.count),
            runs: pages.enumerated().map { PageRun(page: UInt32($1), count: 1, slot: UInt32($0)) })
    }

    private func patch(_ changed: [Int], covered: [Int]? = nil, id: UInt64) -> BlockPatch {
        BlockPatch(
            parts: [part(covered ?? changed, id: id)], changed: pages(changed),
            covered: pages(covered ?? changed))
    }

    private func merge(
        _ patch: BlockPatch, from base: BlockRecipe, at: UInt64?, onto current: BlockRecipe, at now: UInt64?,
        spread: Int = 0, ids: [BlockID: BlockID] = [:]
    ) throws -> BlockRecipe {
        let write = BlockWrite(
            key: Self.key, base: tid(at), baseRecipe: base, patch: patch, spread: spread)
        return try BlockMerge(write, ids: ids, currentTID: tid(now), current: current).result()
    }

    @Test("nobody else: all of the patch counts")
    func alone() throws {
        let base = BlockRecipe(parts: [part(Array(0..<16), id: 1)])
        let mine = patch([3], covered: [2, 3, 4], id: 2)
        #expect(
            try merge(mine, from: base, at: 5, onto: base, at: 5) == base.applying(mine, isExact: false))
        let first = patch([0, 1], id: 2)
        #expect(
            try merge(first, from: BlockRecipe(), at: nil, onto: BlockRecipe(), at: nil)
                == BlockRecipe(parts: first.parts))
    }

    @Test("E28 others changed other pages: both changes count, and what was stored besides does not")
    func merged() throws {
        let base = BlockRecipe(parts: [part(Array(0..<16), id: 1)])
        let theirs = base.applying(patch([5], id: 2), isExact: false)
        // Mine stored the whole block, with page 5 as it was.
        let mine = patch([3], covered: Array(0..<16), id: 3)
        let table = RecipeModel.table(
            try merge(mine, from: base, at: 5, onto: theirs, at: 6).parts, 16)
        #expect(table.map { $0?.block.rawValue } == [1, 1, 1, 3, 1, 2] + [UInt64](repeating: 1, count: 10))
    }

    @Test("E28 the same page, or one too close to it, is a conflict that names the block")
    func conflicts() throws {
        let base = BlockRecipe(parts: [part(Array(0..<16), id: 1)])
        for page in 0..<16 {
            let theirs = base.applying(patch([page], id: 2), isExact: false)
            for spread in 0...2 {
                let result = Result {
                    try merge(
                        patch([7, 8], id: 3), from: base, at: 5, onto: theirs, at: 6, spread: spread)
                }
                let isClose = (7 - spread...8 + spread).contains(page)
                #expect(((try? result.get()) == nil) == isClose)
                guard case .failure(let error as ConflictError) = result else { continue }
                #expect(error.oid == Self.key.oid && error.part == "block 4")
                #expect(error.base == tid(5) && error.current == tid(6))
            }
        }
    }

    @Test("E16 E29 a block that came or went meanwhile is a conflict")
    func comings() {
        let whole = BlockRecipe(parts: [part(Array(0..<16), id: 1)])
        let mine = patch([3], id: 3)
        #expect(throws: ConflictError.self) {
            try merge(mine, from: BlockRecipe(), at: nil, onto: whole, at: 6)
        }
        #expect(throws: ConflictError.self) {
            try merge(mine, from: whole, at: 5, onto: BlockRecipe(), at: nil)
        }
    }

    @Test("records that got their numbers late have them afterwards")
    func numbers() throws {
        let base = BlockRecipe(parts: [part(Array(0..<16), id: 1)])
        let late = BlockID.preliminary(0)
        let mine = patch([3], id: late.rawValue)
        let merged = try merge(
            mine, from: base, at: 5, onto: base, at: 5, ids: [late: BlockID(rawValue: 77)])
        #expect(merged.blocks == [BlockID(rawValue: 1), BlockID(rawValue: 77)])
    }

    @Test("random changes: merged exactly, or refused exactly when they touch", arguments: [1, 16, 65])
    func random(_ pageCount: Int) throws {
        var random = ArrayRandom("BlockMergeTests.random \(pageCount)")
        var (merges, conflicts) = (0, 0)
        for _ in 0..<400 {
            let base = RecipeModel.recipe(pageCount, id: 1, &random)
            let theirs = RecipeModel.patch(pageCount, id: 100, &random)
            let mine = RecipeModel.patch(pageCount, id: 200, &random)
            let spread = Int.random(in: 0...2, using: &random)
            let current = base.applying(theirs, isExact: false)
            let (a, b, c) = (
                RecipeModel.table(base.parts, pageCount), RecipeModel.table(current.parts, pageCount),
                RecipeModel.table(mine.parts, pageCount)
            )
            let touches = (0..<pageCount).contains { page in
                a[page] != b[page]
                    && mine.changed.pages.contains { abs($0 - page) <= spread }
            }
            let merged = try? merge(mine, from: base, at: 5, onto: current, at: 6, spread: spread)
            #expect((merged == nil) == touches)
            guard let merged else {
                conflicts += 1
                continue
            }
            merges += 1
            let expected = (0..<pageCount).map { mine.changed.contains($0) ? c[$0] : b[$0] }
            #expect(RecipeModel.table(merged.parts, pageCount) == expected)
            #expect(RecipeModel.fault(merged, pageCount) == nil)
        }
        #expect(merges > 10 && conflicts > 10)
    }
}
