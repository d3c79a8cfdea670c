import Testing

@testable import VirtMem

@Suite struct RecencyListTests {
    private func block(_ number: Int, framed: Bool) -> Block {
        let block = Block(number: number, handle: 1, serial: 1)
        if framed { block.frame = RAMPool.Frame(offset: number * page, size: page) }
        return block
    }

    @Test("the order is that of a plain array, whichever blocks hold frames", arguments: 1...5)
    func model(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var list = RecencyList()
        var model: [Block] = []
        let blocks = (0..<40).map { block($0, framed: Bool.random(using: &random)) }
        for _ in 0..<2000 {
            let block = blocks[Int.random(in: 0..<blocks.count, using: &random)]
            model.removeAll { $0 === block }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: list.remove(block)
            case 1:
                // A frame may come or go while the block is in the list; its next use counts.
                block.frame = block.frame == nil ? RAMPool.Frame(offset: 0, size: page) : nil
                fallthrough
            default:
                list.append(block)
                model.append(block)
            }
            #expect(list.count == model.count)
            #expect(list.prefix(.max).map(\.number) == model.map(\.number))
            #expect(list.oldest === model.first)
            #expect(list.oldestFramed === model.first { $0.frame != nil })
            for block in blocks { #expect(block.isListed == model.contains { $0 === block }) }
        }
    }

    @Test("a prefix ends at its limit, or after the block that is enough")
    func prefix() {
        var list = RecencyList()
        #expect(list.prefix(5).isEmpty)
        for number in 0..<10 { list.append(block(number, framed: number % 3 == 0)) }
        #expect(list.prefix(0).isEmpty)
        #expect(list.prefix(4).map(\.number) == [0, 1, 2, 3])
        #expect(list.prefix(4) { $0.number == 2 }.map(\.number) == [0, 1, 2])
        #expect(list.prefix(20) { $0.number == 30 }.count == 10)
    }

    @Test("the oldest block with a frame is at hand, however many without are older")
    func manyWithout() {
        var list = RecencyList()
        let many = (0..<100_000).map { block($0, framed: false) }
        for block in many { list.append(block) }
        let framed = (0..<1000).map { block(200_000 + $0, framed: true) }
        for block in framed { list.append(block) }
        // A walk past the others each time would take 10^8 steps.
        for block in framed {
            #expect(list.oldestFramed === block)
            list.remove(block)
        }
        #expect(list.oldestFramed == nil)
        #expect(list.count == many.count)
        // A chain this long must not be freed by recursion.
        for block in many { list.remove(block) }
        #expect(list.oldest == nil)
    }
}
