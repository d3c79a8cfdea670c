import Testing
import VirtMem

@testable import ZBigDB

/// A block that is changed many times the way a commit does it, with each page's version.
private struct PolicyRun {
    let policy: RewritePolicy
    let pageCount: Int
    var recipe = BlockRecipe()
    /// What each page of each record has: the number of a change.
    var records: [BlockID: [Int]] = [:]
    /// What each page should be; 0 means zeros.
    var versions: [Int]
    var change = 0
    var changedPages = 0
    var storedPages = 0
    var wholes = 0
    /// Pages that the last change made zeros.
    var zeros = 0

    init(_ policy: RewritePolicy, _ pageCount: Int) {
        self.policy = policy
        self.pageCount = pageCount
        versions = Array(repeating: 0, count: pageCount)
    }

    /// Changes `pages`, those in `zeros` to zeros.
    mutating func apply(_ pages: [Int], zeros: Set<Int> = []) {
        change += 1
        var changed = PageSet(pageCount: pageCount)
        for page in pages {
            changed.insert(page)
            versions[page] = zeros.contains(page) ? 0 : change
        }
        self.zeros = zeros.count
        let plan = policy.plan(recipe, changed: changed)
        #expect(pages.allSatisfy { plan.covered.contains($0) })
        if plan.isWhole { wholes += 1 }
        let stored = plan.covered.pages.filter { versions[$0] != 0 }
        let id = BlockID(rawValue: UInt64(change))
        records[id] = stored.map { versions[$0] }
        var runs: [PageRun] = []
        for (slot, page) in stored.enumerated() {
            if let last = runs.last, last.pages.upperBound == page {
                runs[runs.count - 1] = PageRun(page: last.page, count: last.count + 1, slot: last.slot)
            } else {
                runs.append(PageRun(page: UInt32(page), count: 1, slot: UInt32(slot)))
            }
        }
        let isFull = runs.count == 1 && runs[0].page == 0
        let part = BlockPart(
            kind: isFull ? .full : .delta, block: id, offset: 4080, storedPages: UInt32(stored.count),
            runs: runs)
        recipe = recipe.applying(
            BlockPatch(
                parts: stored.isEmpty ? [] : [part], changed: changed, covered: plan.covered),
            isExact: false)
        changedPages += pages.count
        storedPages += stored.count
    }

    func check() {
        #expect(RecipeModel.fault(recipe, pageCount) == nil)
        var shown = [Int](repeating: 0, count: pageCount)
        for part in recipe.parts {
            for run in part.runs {
                for index in 0..<Int(run.count) {
                    shown[Int(run.page) + index] = records[part.block]?[Int(run.slot) + index] ?? -1
                }
            }
        }
        #expect(shown == versions)
        if !policy.keepsHistory {
            // Zeros count as kept until the next change.
            let counted = Double(recipe.pageCount + zeros)
            let most = RewritePolicy.mostKept * counted + Double(RewritePolicy.keptSlack)
            #expect(Double(recipe.keptPages) <= most)
        }
    }

    /// Without holes of zeros, pieces are bounded.
    func checkPieces() {
        #expect(recipe.pieceCount <= RewritePolicy.mostPieces)
        // At most eight of each class of sizes, and the block itself.
        #expect(recipe.parts.count <= 4 * RewritePolicy.mostOfClass + 1)
    }
}

@Suite("What a changed block stores")
struct RewritePolicyTests {
    @Test(
        "thousands of random changes: contents right, pieces, parts and kept pages bounded",
        arguments: [16, 512], [false, true])
    func random(_ pageCount: Int, _ keepsHistory: Bool) {
        var random = ArrayRandom("RewritePolicyTests.random \(pageCount) \(keepsHistory)")
        var run = PolicyRun(RewritePolicy(keepsHistory: keepsHistory), pageCount)
        run.apply(Array(0..<pageCount))
        for _ in 0..<(pageCount == 16 ? 3000 : 1500) {
            let start = Int.random(in: 0..<pageCount, using: &random)
            var count = Int.random(in: 1...3, using: &random)
            if random.chance(5) { count = .random(in: 1...pageCount, using: &random) }
            run.apply(Array(start..<min(pageCount, start + count)))
            run.check()
            run.checkPieces()
        }
    }

    @Test("changes that make zeros, too: contents right", arguments: [16, 128], [false, true])
    func zeros(_ pageCount: Int, _ keepsHistory: Bool) {
        var random = ArrayRandom("RewritePolicyTests.zeros \(pageCount) \(keepsHistory)")
        var run = PolicyRun(RewritePolicy(keepsHistory: keepsHistory), pageCount)
        for _ in 0..<1000 {
            let pages = RecipeModel.pages(pageCount, &random).pages
            run.apply(pages, zeros: Set(pages.filter { _ in random.chance(40) }))
            run.check()
        }
    }

    @Test(
        "updates of single pages all over a block store far less than the block each time",
        arguments: [false, true])
    func singlePages(_ keepsHistory: Bool) {
        var random = ArrayRandom("RewritePolicyTests.singlePages \(keepsHistory)")
        var run = PolicyRun(RewritePolicy(keepsHistory: keepsHistory), 512)
        run.apply(Array(0..<512))
        let whole = run.storedPages
        for _ in 0..<2000 {
            run.apply([.random(in: 0..<512, using: &random)])
            run.checkPieces()
        }
        run.check()
        // Joined, and stored as a whole when it is in too many pieces: about 16 pages each time.
        #expect(run.storedPages - whole <= 20 * 2000)
    }

    @Test("the same page again and again is stored alone", arguments: [0, 7, 511])
    func samePage(_ page: Int) {
        for keepsHistory in [false, true] {
            var run = PolicyRun(RewritePolicy(keepsHistory: keepsHistory), 512)
            run.apply(Array(0..<512))
            for _ in 0..<500 { run.apply([page]) }
            run.check()
            #expect(run.wholes == 1)
            #expect(run.recipe.parts.count == 2)
            #expect(run.storedPages == 512 + 500)
        }
    }

    @Test("appends store their new pages, and each page a few times at most", arguments: [1, 3, 20])
    func appends(_ pages: Int) {
        for keepsHistory in [false, true] {
            var run = PolicyRun(RewritePolicy(keepsHistory: keepsHistory), 512)
            for start in stride(from: 0, to: 512, by: pages) {
                run.apply(Array(start..<min(512, start + pages)))
                run.checkPieces()
            }
            run.check()
            #expect(run.storedPages <= 4 * 512)
        }
    }

    @Test("with history no small change stores the block as a whole because of what records keep")
    func history() {
        var random = ArrayRandom("RewritePolicyTests.history")
        var run = PolicyRun(RewritePolicy(keepsHistory: true), 512)
        run.apply(Array(0..<512))
        // The records keep more and more of what no longer counts.
        for round in 0..<40 {
            let start = round % 2 * 256
            run.apply(Array(start..<(start + 256)))
        }
        for _ in 0..<50 { run.apply([.random(in: 100..<110, using: &random)]) }
        run.check()
        #expect(run.wholes == 1)
    }

    @Test("without history kept pages make it be stored as a whole")
    func kept() {
        let changed = { (pages: Range<Int>) in
            var set = PageSet(pageCount: 512)
            set.insert(contentsOf: pages)
            return set
        }
        // Ten records of which one page each counts, and 90 do not.
        let parts = (0..<10).map { index in
            BlockPart(
                kind: .extent, block: BlockID(rawValue: UInt64(index)), offset: 4080, storedPages: 90,
                runs: [PageRun(page: UInt32(index * 40), count: 1, slot: 0)])
        }
        let recipe = BlockRecipe(parts: parts)
        #expect(RewritePolicy(keepsHistory: false).plan(recipe, changed: changed(500..<501)).isWhole)
        #expect(!RewritePolicy(keepsHistory: true).plan(recipe, changed: changed(500..<501)).isWhole)
        // Three quarters of it are as good as all.
        let full = BlockRecipe(parts: [
            BlockPart(
                kind: .full, block: BlockID(rawValue: 1), offset: 4080, storedPages: 512,
                runs: [PageRun(page: 0, count: 512, slot: 0)])
        ])
        for keepsHistory in [false, true] {
            let policy = RewritePolicy(keepsHistory: keepsHistory)
            #expect(policy.plan(full, changed: changed(0..<384)).isWhole)
            #expect(!policy.plan(full, changed: changed(0..<200)).isWhole)
            #expect(policy.plan(full, changed: changed(0..<200)).covered.count == 200)
        }
        #expect(RewritePolicy(keepsHistory: true).plan(full, changed: changed(0..<383)).covered.count == 383)
    }
}
