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
