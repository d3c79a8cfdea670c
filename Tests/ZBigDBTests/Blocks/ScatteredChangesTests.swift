import Testing
import VirtMem

@testable import ZBigDB

/// What a block stores whose changed pages are scattered.
@Suite struct ScatteredChangesTests {
    private let pages = 512
    private let policy = RewritePolicy(keepsHistory: false)

    private var whole: BlockRecipe {
        BlockRecipe(parts: [
            BlockPart(
                kind: .full, block: BlockID(rawValue: 1), offset: 4080, storedPages: 512,
                runs: [PageRun(page: 0, count: 512, slot: 0)])
        ])
    }

    private func set(_ changed: some Sequence<Int>) -> PageSet {
        var set = PageSet(pageCount: pages)
        for page in changed { set.insert(page) }
        return set
    }

    /// The recipe after a change, and how many pages were stored.
    private func store(_ changed: PageSet, _ recipe: BlockRecipe, id: Int) -> (BlockRecipe, Int) {
        let covered = policy.plan(recipe, changed: changed).covered
        var slot: UInt32 = 0
        let runs = covered.runs.map { run in
            defer { slot += UInt32(run.count) }
            return PageRun(page: UInt32(run.lowerBound), count: UInt32(run.count), slot: slot)
        }
        let part = BlockPart(
            kind: .delta, block: BlockID(rawValue: UInt64(id)), offset: 4080,
            storedPages: UInt32(covered.count), runs: runs)
        let patch = BlockPatch(parts: [part], changed: changed, covered: covered)
        return (recipe.applying(patch, isExact: false), covered.count)
    }

    @Test("few changed pages are stored alone")
    func few() {
        let changed = set([3, 99, 100, 400])
        #expect(policy.plan(whole, changed: changed).covered == changed)
    }

    @Test("many scattered pages take along what lies between, no more", arguments: [40, 72, 120, 200])
    func scattered(count: Int) {
        var random = ArrayRandom("scattered pages")
        var changed = PageSet(pageCount: pages)
        while changed.count < count { changed.insert(Int.random(in: 0..<pages, using: &random)) }
        let (recipe, stored) = store(changed, whole, id: 2)
        #expect(stored <= 3 * count)
        #expect(recipe.pieceCount <= RewritePolicy.mostPieces)
        #expect(recipe.pageCount == pages)
        for page in changed.pages {
            #expect(recipe.parts.last?.runs.contains { $0.pages.contains(page) } == true)
        }
    }

    @Test("one page a commit, for ever: few pieces, and few pages stored for each")
    func oneByOne() {
        var random = ArrayRandom("one page a commit")
        var recipe = whole
        var stored = 0
        let commits = 100
        for commit in 0..<commits {
            let (next, count) = store(
                set([Int.random(in: 0..<pages, using: &random)]), recipe, id: commit + 2)
            stored += count
            recipe = next
            #expect(recipe.pieceCount <= RewritePolicy.mostPieces)
            #expect(recipe.pageCount == pages)
        }
        #expect(stored <= 20 * commits)
    }
}
