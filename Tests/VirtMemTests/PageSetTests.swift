import Testing
import VirtMem

@Suite struct PageSetTests {
    @Test("an empty set", arguments: [0, 1, 63, 64, 65, 512])
    func empty(count: Int) {
        let set = PageSet(pageCount: count)
        #expect(set.isEmpty)
        #expect(set.count == 0)
        #expect(set.pages == [])
        #expect(!set.contains(0))
        #expect(!set.contains(-1))
        #expect(!set.contains(count))
    }

    @Test("the full set", arguments: [1, 63, 64, 65, 512])
    func full(count: Int) {
        let set = PageSet.all(pageCount: count)
        #expect(set.count == count)
        #expect(set.pages == Array(0..<count))
        #expect(!set.contains(count))
    }

    @Test("insert and remove agree with Set<Int>")
    func model() {
        var random = SeededGenerator(state: 7)
        var set = PageSet(pageCount: 200)
        var model: Set<Int> = []
        for _ in 0..<2000 {
            let page = Int.random(in: 0..<200, using: &random)
            if Bool.random(using: &random) {
                set.insert(page)
                model.insert(page)
            } else {
                set.remove(page)
                model.remove(page)
            }
            #expect(set.contains(page) == model.contains(page))
            #expect(set.count == model.count)
        }
        #expect(set.pages == model.sorted())
        #expect(set.isEmpty == model.isEmpty)
    }

    @Test("sets of pages agree with Set<Int>: union, intersection, difference, runs, bits")
    func algebra() {
        var random = SeededGenerator(state: 11)
        for round in 0..<300 {
            let count = [1, 63, 64, 65, 200, 512][round % 6]
            func sample() -> (PageSet, Set<Int>) {
                var (set, model) = (PageSet(pageCount: count), Set<Int>())
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    let start = Int.random(in: 0..<count, using: &random)
                    let end = min(count, start + Int.random(in: 0...70, using: &random))
                    set.insert(contentsOf: start..<end)
                    model.formUnion(start..<end)
                }
                return (set, model)
            }
            let ((a, x), (b, y)) = (sample(), sample())
            var (union, common, rest) = (a, a, a)
            union.formUnion(b)
            common.formIntersection(b)
            rest.subtract(b)
            #expect(union.pages == x.union(y).sorted())
            #expect(common.pages == x.intersection(y).sorted())
            #expect(rest.pages == x.subtracting(y).sorted())
            #expect(a.isDisjoint(with: b) == x.isDisjoint(with: y))
            #expect(a.count == x.count && a.isEmpty == x.isEmpty)
            // Runs: ascending, apart from each other, and together the set.
            #expect(a.runs.flatMap { Array($0) } == x.sorted())
            #expect(zip(a.runs, a.runs.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
            #expect(PageSet(pageCount: count, bitmap: a.bitmap) == a)
            // What a larger bitmap says of pages beyond the block does not count.
            let noisy = PageSet(pageCount: count, bitmap: Array(repeating: UInt64.max, count: 9))
            #expect(noisy == .all(pageCount: count))
            #expect(PageSet(pageCount: count, bitmap: []).isEmpty)
        }
    }

    @Test("equality and text")
    func equality() {
        var one = PageSet(pageCount: 70)
        var two = PageSet(pageCount: 70)
        one.insert(65)
        #expect(one != two)
        two.insert(65)
        #expect(one == two)
        #expect(one.description == "[65] of 70")
    }

    @Test("a page outside is refused")
    func outside() async {
        await #expect(processExitsWith: .failure) {
            var set = PageSet(pageCount: 64)
            set.insert(64)
        }
    }
}
