import VirtMem

@testable import ZBigDB

/// Where one page is: what a recipe says, page by page.
struct PagePlace: Hashable {
    let block: BlockID
    /// Bytes from the start of the record.
    let byte: Int
}

/// Recipes and patches as plain tables of pages.
enum RecipeModel {
    typealias Table = [PagePlace?]

    static func table(_ parts: [BlockPart], _ pageCount: Int) -> Table {
        var table = Table(repeating: nil, count: pageCount)
        for part in parts {
            for run in part.runs {
                for index in 0..<Int(run.count) {
                    let byte = Int(part.offset) + (Int(run.slot) + index) * 4096
                    table[Int(run.page) + index] = PagePlace(block: part.block, byte: byte)
                }
            }
        }
        return table
    }

    /// What is wrong with a recipe whatever it is of; nil if nothing.
    static func fault(_ recipe: BlockRecipe, _ pageCount: Int) -> String? {
        var seen = PageSet(pageCount: pageCount)
        for part in recipe.parts {
            if part.runs.isEmpty { return "a part without pages" }
            var (page, slot) = (0, 0)
            for run in part.runs {
                if run.count == 0 { return "an empty run" }
                if Int(run.page) < page || Int(run.slot) < slot { return "runs that do not ascend" }
                if run.pages.upperBound > pageCount { return "pages beyond the block" }
                for page in run.pages {
                    if seen.contains(page) { return "page \(page) twice" }
                    seen.insert(page)
                }
                (page, slot) = (run.pages.upperBound, Int(run.slot + run.count))
            }
            if slot > Int(part.storedPages) { return "slots beyond the record" }
        }
        return nil
    }

    /// A set of runs, sometimes empty or full.
    static func pages(_ pageCount: Int, _ random: inout ArrayRandom) -> PageSet {
        var set = PageSet(pageCount: pageCount)
        if random.chance(5) { return .all(pageCount: pageCount) }
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let start = Int.random(in: 0..<pageCount, using: &random)
            let longest = random.chance(30) ? pageCount : 3
            set.insert(contentsOf: start..<min(pageCount, start + .random(in: 1...longest, using: &random)))
        }
        return set
    }

    /// A part with exactly these pages, in a record that may have others between them.
    static func part(_ pages: [Int], id: UInt64, _ random: inout ArrayRandom) -> BlockPart {
        var runs: [PageRun] = []
        var slot: UInt32 = 0
        for page in pages {
            if let last = runs.last, last.pages.upperBound == page, random.chance(80) {
                runs[runs.count - 1] = PageRun(page: last.page, count: last.count + 1, slot: last.slot)
            } else {
                slot += random.chance(30) ? .random(in: 1...4, using: &random) : 0
                runs.append(PageRun(page: UInt32(page), count: 1, slot: slot))
            }
            slot += 1
        }
        let kinds: [ZBlkKind] = [.full, .extent, .delta]
        return BlockPart(
            kind: kinds[Int.random(in: 0..<3, using: &random)], block: BlockID(rawValue: id),
            offset: .random(in: 0...(1 << 20), using: &random),
            storedPages: slot + .random(in: 0...3, using: &random), runs: runs)
    }

    /// A patch whose records have the numbers `id` and `id + 1`.
    static func patch(_ pageCount: Int, id: UInt64, _ random: inout ArrayRandom) -> BlockPatch {
        let changed = pages(pageCount, &random)
        var covered = changed
        if random.chance(60) { covered.formUnion(pages(pageCount, &random)) }
        let zeros = pages(pageCount, &random)
        let second = random.chance(30) ? pages(pageCount, &random) : PageSet(pageCount: pageCount)
        let stored = covered.pages.filter { !zeros.contains($0) }
        let parts = [
            stored.filter { !second.contains($0) }, stored.filter { second.contains($0) },
        ]
        return BlockPatch(
            parts: parts.enumerated().filter { !$1.isEmpty }.map {
                part($1, id: id + UInt64($0), &random)
            }, changed: changed, covered: covered)
    }

    /// A recipe after some patches.
    static func recipe(_ pageCount: Int, id: UInt64, _ random: inout ArrayRandom) -> BlockRecipe {
        var recipe = BlockRecipe()
        for index in 0..<Int.random(in: 0...4, using: &random) {
            recipe = recipe.applying(
                patch(pageCount, id: id + UInt64(2 * index), &random), isExact: random.chance(50))
        }
        return recipe
    }
}
