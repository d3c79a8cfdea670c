import Testing

@testable import ZBigDB

@Suite("Shrinking while others look and write", .serialized)
struct ArrayShrinkTests {
    private static let block = Database.Configuration.small.blockSize

    @Test(
        "a shrink while others have the blocks mapped leaves their snapshot alone",
        arguments: LoadMode.allCases)
    func shrinkUnderReaders(_ mode: LoadMode) throws {
        let temporary = try TemporaryDatabase(mode.configuration)
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try one.createArray("a", shape: [8 * Self.block], of: UInt8.self)
        try first.fill(with: UInt8(7))
        try one.commit()
        try two.begin()
        let view = try two.root.array("a").view(as: UInt8.self)
        for block in 0..<4 { #expect(view[block * Self.block] == 7) }
        try first.resize([10])
        try one.commit()
        // Their space is used again, if anybody thinks it is free.
        let filler = try one.createArray("filler", shape: [16 * Self.block], of: UInt8.self)
        try filler.fill(with: UInt8(1))
        try one.commit()
        for block in 0..<8 { #expect(view[block * Self.block + 11] == 7) }
        try two.begin()
        #expect(view[9] == 7)
        #expect(view[10] == 0)
        #expect(view[5 * Self.block] == 0)
    }

    enum Winner: String, CaseIterable, Sendable { case shrinks, writes }

    @Test(
        "a shrink and a write of what it cuts off conflict, also in holes", arguments: Winner.allCases,
        [1, 6])
    func shrinkAgainstWrite(_ winner: Winner, _ block: Int) throws {
        let temporary = try TemporaryDatabase()
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let first = try one.createArray("a", shape: [8 * Self.block], of: UInt8.self)
        try one.commit()
        try two.begin()
        let second = try two.root.array("a")
        try first.resize([Self.block + 10])
        try second.setElement(block * Self.block + 100, to: UInt8(9))
        let (early, late) = winner == .shrinks ? (one, two) : (two, one)
        try early.commit()
        #expect(throws: ConflictError.self) { try late.commit() }
        try late.abort()
        if winner == .writes {
            #expect(try first.element(block * Self.block + 100, as: UInt8.self) == 9)
            try first.resize([Self.block + 10])
            try one.commit()
        }
        try two.begin()
        try second.resize([8 * Self.block])
        try two.commit()
        #expect(try second.read(as: UInt8.self).allSatisfy { $0 == 0 })
        // Shrinking a stored array and writing below the cut, one after the other, is no conflict.
        try second.setElement(0, to: UInt8(1))
        try two.commit()
        try one.begin()
        try first.resize([100])
        try one.commit()
    }
}
