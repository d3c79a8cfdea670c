import Testing
import VirtMem

@testable import ZBigDB

@Suite("Recipes of blocks, page by page")
struct BlockRecipeTests {
    private static let sizes = [1, 3, 16, 64, 65, 200]

    @Test("a patch replaces what it covers, or exactly what it changed", arguments: sizes)
    func applying(_ pageCount: Int) {
        var random = ArrayRandom("BlockRecipeTests.applying \(pageCount)")
        for _ in 0..<150 {
            let recipe = RecipeModel.recipe(pageCount, id: 1, &random)
            let patch = RecipeModel.patch(pageCount, id: 100, &random)
            let (old, new) = (
                RecipeModel.table(recipe.parts, pageCount), RecipeModel.table(patch.parts, pageCount)
            )
            for isExact in [false, true] {
                let result = recipe.applying(patch, isExact: isExact)
                let counts = isExact ? patch.changed : patch.covered
                let expected = (0..<pageCount).map { counts.contains($0) ? new[$0] : old[$0] }
                #expect(RecipeModel.table(result.parts, pageCount) == expected)
                #expect(RecipeModel.fault(result, pageCount) == nil)
                let stored = (0..<pageCount).filter { expected[$0] != nil }
                #expect(result.pageCount == stored.count)
                #expect(result.pages(of: pageCount).pages == stored)
                #expect(result.blocks == Set(expected.compactMap { $0?.block }))
                #expect(result.pieceCount >= result.pages(of: pageCount).runs.count)
                #expect(result.keptPages >= stored.count)
            }
        }
    }

    @Test("a patch that follows another has the effect of both, one after the other", arguments: sizes)
    func followed(_ pageCount: Int) {
        var random = ArrayRandom("BlockRecipeTests.followed \(pageCount)")
        for _ in 0..<150 {
            let recipe = RecipeModel.recipe(pageCount, id: 1, &random)
            let first = RecipeModel.patch(pageCount, id: 100, &random)
            let second = RecipeModel.patch(pageCount, id: 200, &random)
            let both = first.followed(by: second)
            let apart = recipe.applying(first, isExact: false).applying(second, isExact: false)
            let together = recipe.applying(both, isExact: false)
            #expect(
                RecipeModel.table(together.parts, pageCount) == RecipeModel.table(apart.parts, pageCount))
            #expect(RecipeModel.fault(together, pageCount) == nil)
            #expect(both.changed.pages == Set(first.changed.pages + second.changed.pages).sorted())
            #expect(both.covered.pages == Set(first.covered.pages + second.covered.pages).sorted())
            #expect(both.parts.allSatisfy { !$0.runs.isEmpty })
            // Exactly, on top of another recipe: each changed page as the transaction left it.
            let other = RecipeModel.recipe(pageCount, id: 300, &random)
            let merged = RecipeModel.table(other.applying(both, isExact: true).parts, pageCount)
            let (left, theirs) = (
                RecipeModel.table(apart.parts, pageCount), RecipeModel.table(other.parts, pageCount)
            )
            for page in 0..<pageCount {
                #expect(merged[page] == (both.changed.contains(page) ? left[page] : theirs[page]))
            }
        }
    }

    @Test("pages elsewhere are differences, and no others", arguments: sizes)
    func differences(_ pageCount: Int) {
        var random = ArrayRandom("BlockRecipeTests.differences \(pageCount)")
        for _ in 0..<100 {
            let one = RecipeModel.recipe(pageCount, id: 1, &random)
            let patch = RecipeModel.patch(pageCount, id: 50, &random)
            let two = one.applying(patch, isExact: random.chance(50))
            #expect(one.differences(from: one, pageCount: pageCount).isEmpty)
            let (a, b) = (RecipeModel.table(one.parts, pageCount), RecipeModel.table(two.parts, pageCount))
            let expected = (0..<pageCount).filter { a[$0] != b[$0] }
            #expect(one.differences(from: two, pageCount: pageCount).pages == expected)
            #expect(two.differences(from: one, pageCount: pageCount).pages == expected)
        }
    }

    // MARK: Stored form

    private func encoded(_ recipe: BlockRecipe) -> [UInt8] {
        var writer = ByteWriter()
        recipe.encode(into: &writer)
        return writer.bytes
    }

    private func decoded(_ bytes: [UInt8]) throws -> BlockRecipe {
        var reader = ByteReader(bytes)
        return try BlockRecipe(decoding: &reader)
    }

    @Test("recipes are read as they were written; cut off ones are refused", arguments: sizes)
    func roundTrip(_ pageCount: Int) throws {
        var random = ArrayRandom("BlockRecipeTests.roundTrip \(pageCount)")
        for _ in 0..<60 {
            let recipe = RecipeModel.recipe(pageCount, id: random.chance(20) ? 1 << 62 : 1, &random)
            let bytes = encoded(recipe)
            #expect(try decoded(bytes) == recipe)
            for length in bytes.indices {
                #expect(throws: ByteReader.Malformed.self) { try decoded(Array(bytes[..<length])) }
            }
        }
    }

    @Test("a damaged recipe is refused or read as something whose runs are possible")
    func damage() {
        var random = ArrayRandom("BlockRecipeTests.damage")
        var (refused, read) = (0, 0)
        for _ in 0..<2000 {
            var bytes = encoded(RecipeModel.recipe(40, id: 1, &random))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
            }
            guard let recipe = try? decoded(bytes) else {
                refused += 1
                continue
            }
            read += 1
            for part in recipe.parts {
                var (page, slot) = (0, 0)
                for run in part.runs {
                    #expect(run.count > 0 && Int(run.page) >= page && Int(run.slot) >= slot)
                    (page, slot) = (run.pages.upperBound, Int(run.slot + run.count))
                }
                #expect(page <= 1 << 18 && slot <= Int(part.storedPages))
            }
        }
        #expect(refused > 100 && read > 100)
        // Counts of what cannot be there must not take memory.
        for greedy in [[0xff, 0xff, 0xff, 0xff, 0x7f], [1, 1, 0, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            #expect(throws: ByteReader.Malformed.self) { try decoded(greedy.map { UInt8($0) }) }
        }
    }
}
