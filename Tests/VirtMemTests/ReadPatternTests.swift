import Testing

@testable import VirtMem

@Suite struct ReadPatternTests {
    @Test("a sequence takes twice as many along each time, in either direction, up to a limit")
    func growth() {
        var pattern = ReadPattern()
        var (blocks, isSequential) = pattern.blocks(with: 35, most: 1000)
        #expect(blocks == 32..<48)
        #expect(!isSequential)
        pattern.continues(next: 48, previous: 31)
        (blocks, isSequential) = pattern.blocks(with: 48, most: 1000)
        #expect(blocks == 48..<80)
        #expect(isSequential)
        pattern.continues(next: 80, previous: 31)
        #expect(pattern.blocks(with: 80, most: 1000).wanted == 80..<144)
        pattern.continues(next: 144, previous: 31)
        #expect(pattern.blocks(with: 31, most: 1000).wanted == 0..<32)
        pattern.continues(next: 144, previous: -1)
        #expect(pattern.blocks(with: 144, most: 20).wanted == 144..<164)
    }

    @Test("where a mapping shows many blocks, groups are larger, up to a limit")
    func sharedMappings() {
        var pattern = ReadPattern()
        pattern.note(blocks: 16, mappings: 3)
        #expect(pattern.blocks(with: 100, most: 1000).wanted == 85..<170)
        pattern.note(blocks: 85, mappings: 1)
        #expect(pattern.blocks(with: 1000, most: 1000).wanted == 896..<1024)
        #expect(pattern.blocks(with: 3000, most: 20).wanted == 3000..<3020)
        // Pieces of blocks make them no smaller.
        pattern.note(blocks: 16, mappings: 300)
        #expect(pattern.blocks(with: 5000, most: 1000).wanted == 4992..<5008)
        pattern.note(blocks: 0, mappings: 0)
        #expect(pattern.blocks(with: 6000, most: 1000).wanted == 6000..<6016)
    }

    @Test("a sequence of joined blocks grows further")
    func joinedSequence() {
        var pattern = ReadPattern()
        var (next, largest) = (0, 0)
        for _ in 0..<12 {
            let wanted = pattern.blocks(with: next, most: 1000).wanted
            next = wanted.upperBound
            largest = wanted.count
            pattern.continues(next: next, previous: -1)
            pattern.note(blocks: wanted.count, mappings: 1)
        }
        #expect(largest == 512)
    }

    @Test("four readers at a time are told apart; the one that stopped first is forgotten")
    func readers() {
        var pattern = ReadPattern()
        func read(_ block: Int) -> Bool {
            let (wanted, isSequential) = pattern.blocks(with: block, most: 1)
            pattern.continues(next: wanted.upperBound, previous: wanted.lowerBound - 1)
            return isSequential
        }
        for start in [0, 100, 200, 300] { #expect(!read(start)) }
        for step in 1..<10 {
            for start in [0, 100, 200, 300] { #expect(read(start + step)) }
        }
        #expect(!read(1000))
        #expect(!read(10))
        #expect(read(210))
        #expect(read(1001))
    }
}
