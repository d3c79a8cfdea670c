import Testing
import VirtMem

@testable import ZBigDB

@Suite("Arrays against a model")
struct ArrayModelTests {
    private static let block = 4 * 4096

    enum Variant: String, CaseIterable, Sendable {
        /// Changes stay in memory until they are committed.
        case plain
        /// Memory for two changed blocks: the others are stored ahead all the time.
        case tinyBudget
        /// The same, and old versions are kept.
        case history
    }

    /// A connection's array and what it should contain.
    private struct Side {
        var connection: Connection
        var array: BigArray
        /// In this transaction, and as of its start.
        var now: [UInt8]
        var base: [UInt8]
        var isChanged = false
        var savepoints: [(savepoint: Savepoint, now: [UInt8], isChanged: Bool)] = []

        /// A transaction ended.
        mutating func begin(_ committed: [UInt8]) {
            (now, base, isChanged, savepoints) = (committed, committed, false, [])
        }
    }

    private func configuration(_ mode: LoadMode, _ variant: Variant) -> Database.Configuration {
        var configuration = mode.configuration
        configuration.blockSize = Self.block
        configuration.mapSize = 1 << 20
        configuration.durability = .none
        if variant != .plain { configuration.dirtyBudget = 2 * Self.block }
        configuration.keepsHistory = variant == .history
        return configuration
    }

    private func side(_ database: Database, _ committed: [UInt8]) throws -> Side {
        let connection = try database.connect()
        return Side(
            connection: connection, array: try connection.root.array("a"), now: committed, base: committed)
    }

    /// A transaction's changes on top of what others committed meanwhile.
    private func merged(_ side: Side, _ committed: [UInt8]) -> [UInt8] {
        var merged = committed
        if side.now.count < side.base.count { merged = Array(committed.prefix(side.now.count)) }
        if side.now.count > side.base.count {
            merged += [UInt8](repeating: 0, count: side.now.count - merged.count)
        }
        for at in side.now.indices where side.now[at] != (at < side.base.count ? side.base[at] : 0) {
            merged[at] = side.now[at]
        }
        return merged
    }

    @Test(
        "random operations of two connections, seen by a third, agree with arrays in memory",
        arguments: LoadMode.allCases, Variant.allCases)
    func operations(_ mode: LoadMode, _ variant: Variant) throws {
        var random = ArrayRandom("ArrayModelTests.operations \(mode) \(variant)")
        let temporary = try TemporaryDatabase(configuration(mode, variant))
        var database = temporary.database
        do {
            let connection = try database.connect()
            _ = try connection.createArray("a", shape: [3 * Self.block], of: UInt8.self)
            try connection.commit()
            try connection.close()
        }
        var committed = [UInt8](repeating: 0, count: 3 * Self.block)
        // The last one only reads, and moves to newer snapshots now and then.
        var sides = try (0..<3).map { _ in try side(database, committed) }
        var (commits, conflicts, spilled, rollbacks) = (0, 0, 0, 0)

        func check(_ index: Int) throws {
            let (array, expected) = (sides[index].array, sides[index].now)
            try #require(array.shape == [expected.count])
            let isSame = try array.withUnsafeBytes { memory in
                expected.withUnsafeBytes { memory.elementsEqual($0) || memory.count == 0 }
            }
            try #require(isSame)
        }

        for step in 0..<900 {
            let index = Int.random(in: 0..<2, using: &random)
            let array = sides[index].array
            let count = sides[index].now.count
            switch Int.random(in: 0..<134, using: &random) {
            case 0..<45 where count > 0:
                let start = Int.random(in: 0..<count, using: &random)
                let length = min(
                    Int.random(in: 1...(random.chance(20) ? 3 * Self.block : 50), using: &random),
                    count - start)
                let byte = UInt8.random(in: 0...(random.chance(30) ? 0 : 3), using: &random)
                let step = random.chance(80) ? 1 : Int.random(in: 2...5000, using: &random)
                try array.fill([.range(start: start, stop: start + length, step: step)], with: byte)
                for at in stride(from: start, to: start + length, by: step) { sides[index].now[at] = byte }
                sides[index].isChanged = true
            case 45..<53:
                let size = Int.random(in: 0...(6 * Self.block), using: &random)
                try array.resize([size])
                if size < count {
                    sides[index].now.removeLast(count - size)
                } else {
                    sides[index].now += [UInt8](repeating: 0, count: size - count)
                }
                sides[index].isChanged = true
            case 53..<60:
                let values = [UInt8](
                    repeating: UInt8(step % 5), count: Int.random(in: 0...300, using: &random))
                try array.append(values)
                sides[index].now += values
                sides[index].isChanged = true
            case 60..<68:
                try check(index)
            case 68..<88:
                do {
                    let tid = try sides[index].connection.commit()
                    // Whoever commits against a newer state has changed other blocks only.
                    if sides[index].base != committed, sides[index].isChanged, tid != nil {
                        committed = merged(sides[index], committed)
                    } else if tid != nil {
                        committed = sides[index].now
                    }
                    commits += tid == nil ? 0 : 1
                } catch is ConflictError {
                    conflicts += 1
                    try sides[index].connection.abort()
                }
                sides[index].begin(committed)
                try check(index)
                // Whatever was committed, and whatever is stored ahead, is not seen before a boundary.
                try check(2)
            case 88..<94:
                try sides[index].connection.abort()
                sides[index].begin(committed)
                try check(index)
            case 94..<96:
                try sides[index].connection.abort()
                try sides[index].connection.close()
                sides[index] = try side(database, committed)
            case 96:
                for side in sides {
                    try side.connection.abort()
                    try side.connection.close()
                }
                #expect(try database.verify().problems == [])
                spilled += database.dirtyBudget.spilledBlocks
                try database.close()
                database = try Database(temporary.path, configuration: configuration(mode, variant))
                sides = try (0..<3).map { _ in try side(database, committed) }
                for index in sides.indices { try check(index) }
            case 100..<112:
                let savepoint = try sides[index].connection.savepointOfTransaction()
                sides[index].savepoints.append((savepoint, sides[index].now, sides[index].isChanged))
                try check(index)
            case 112..<134:
                guard !sides[index].savepoints.isEmpty else { continue }
                let place = Int.random(in: sides[index].savepoints.indices, using: &random)
                try sides[index].savepoints[place].savepoint.rollback()
                (sides[index].now, sides[index].isChanged) = (
                    sides[index].savepoints[place].now, sides[index].savepoints[place].isChanged
                )
                sides[index].savepoints.removeSubrange((place + 1)...)
                rollbacks += 1
                try check(index)
            default:
                try sides[2].connection.begin()
                (sides[2].now, sides[2].base) = (committed, committed)
                try check(2)
            }
        }
        #expect(commits > 20)
        #expect(conflicts > 0)
        spilled += database.dirtyBudget.spilledBlocks
        #expect(spilled > 0)
        #expect(rollbacks > 5)
        #expect(try database.verify().problems == [])
        for side in sides { try side.connection.abort() }
        try sides[2].connection.root.set("end", Note("what was aborted goes with a commit"))
        try sides[2].connection.commit()
        #expect(try database.information().pendingBlocks == 0)
        #expect(try database.verify().problems == [])
        if variant != .history { try database.expectExactBlocks([sides[2].array]) }
    }
}
