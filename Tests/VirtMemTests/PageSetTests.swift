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
