import Foundation
import Testing

@testable import VirtMem

extension FileHandle {
    /// Private memory of the first `blocks` blocks, by the kernel's word.
    func privateBytes(_ blocks: Int) -> Int { kernelMemory("Anonymous", addresses(0..<blocks)) }

    /// Writes a whole block through the lasting view.
    func fill(_ byte: UInt8, _ block: Int) {
        (baseAddress + block * blockSize).initializeMemory(as: UInt8.self, repeating: byte, count: blockSize)
    }
}

extension EngineTests {
    /// A transaction that changes more than its budget of memory.
    @Suite(.watched) struct DirtyBudgetTests {
        static let limit = 16
        let file: SpillFile
        let budget: DirtyBudget
        let handle: FileHandle
        var size: Int { file.blockSize }

        init() throws {
            file = try SpillFile()
            budget = DirtyBudget(bytes: Self.limit * file.blockSize)
            handle = try FileHandle(file, dirtyBudget: budget)
        }

        private func value(_ block: Int) -> UInt8 { UInt8(truncatingIfNeeded: block * 7 + 1) }

        private func expectFilled(_ blocks: Int) throws {
            for block in 0..<blocks {
                try #require(try handle.bytes(block) == [UInt8](repeating: value(block), count: size))
            }
        }

        // MARK: Filling

        @Test("a sequential fill of 32 times the budget through a lasting view stays in it, in long runs")
        func fillByView() throws {
            let blocks = 32 * Self.limit
            var most = 0
            for block in 0..<blocks {
                handle.fill(value(block), block)
                if block % 8 == 7 { most = max(most, handle.privateBytes(blocks)) }
                #expect(budget.usedBytes <= budget.limit)
            }
            #expect(most <= budget.limit)
            #expect(file.spills.joined().elementsEqual(0..<file.spills.joined().count))
            #expect(file.spills.allSatisfy { $0.count >= Self.limit / 4 })
            #expect(budget.spilledBlocks >= blocks - Self.limit)
            #expect(budget.spilledBytes == budget.spilledBlocks * size)
            try expectFilled(blocks)
            #expect(file.complaints == [])
        }

        @Test(
            "a sequential fill through scoped access stays in the budget, with or without extents",
            arguments: SpillFile.Kind.allCases)
        func fillByScopedAccess(kind: SpillFile.Kind) throws {
            let file = try SpillFile(kind: kind)
            let handle = try FileHandle(file, dirtyBudget: budget)
            let blocks = 16 * Self.limit
            // Pieces that end in the middle of blocks.
            let piece = 3 * size + size / 2
            var at = 0
            while at < blocks * size {
                let end = min(at + piece, blocks * size)
                try handle.withUnsafeMutableBytes(of: at..<end) { bytes in
                    for index in 0..<(bytes.count / 8) {
                        bytes.storeBytes(of: at / 8 + index, toByteOffset: index * 8, as: Int.self)
                    }
                }
                at = end
                if at % (7 * size) == 0 { #expect(handle.privateBytes(blocks) <= budget.limit) }
                #expect(budget.usedBytes <= budget.limit)
            }
            #expect(budget.spilledBlocks >= blocks - Self.limit)
            for block in 0..<blocks {
                try handle.withUnsafeBytes(of: (block * size)..<((block + 1) * size)) { bytes in
                    let words = bytes.bindMemory(to: Int.self)
                    #expect(words.first == block * size / 8)
                    #expect(words.last == (block + 1) * size / 8 - 1)
                    #expect(words[words.count / 2] == block * size / 8 + words.count / 2)
                }
            }
            #expect(file.complaints == [])
        }

        @Test("holes written as a whole are spilled like other blocks, and unwritten ones are not")
        func filledHoles() throws {
            let blocks = 2 * Self.limit
            for block in stride(from: 0, to: blocks, by: 4) {
                try handle.withUnsafeMutableBytes(of: (block * size)..<((block + 4) * size)) { bytes in
                    bytes[5] = 1
                    bytes[size + 2 * page] = 2
                    bytes[3 * size - 1] = 3
                }
            }
            try handle.spillAll()
            #expect(!handle.isDirty)
            #expect(handle.privateBytes(blocks) == 0)
            for block in 0..<blocks {
                var expected = [UInt8](repeating: 0, count: size)
                if block % 4 == 0 { expected[5] = 1 }
                if block % 4 == 1 { expected[2 * page] = 2 }
                if block % 4 == 2 { expected[size - 1] = 3 }
                #expect(try handle.bytes(block) == expected)
            }
            #expect(Set(file.spills.joined()).allSatisfy { $0 % 4 != 3 })
            #expect(file.complaints == [])
        }

        // MARK: What counts

        @Test("writes to single pages of many blocks are counted exactly, and spill nothing")
        func singlePages() throws {
            let seed = UInt64.random(in: 0..<(1 << 32))
            var random = SeededGenerator(state: seed)
            let pages = Self.limit * size / page
            var written: [Int: UInt8] = [:]
            // Three quarters of the budget in pages, in 12 times as many blocks as fit in it as a whole.
            for block in (0..<2000).shuffled(using: &random).prefix(pages * 3 / 4 - Self.limit) {
                let value = UInt8.random(in: 1...255, using: &random)
                handle.write(value, block, Int.random(in: 0..<size, using: &random))
                written[block] = value
            }
            #expect(file.spills == [], "seed \(seed)")
            #expect(handle.dirtyBlocks == written.keys.sorted())
            #expect(handle.privateBytes(2000) == written.count * page)
            #expect(budget.usedBytes <= budget.limit)
            #expect(budget.usedBytes >= written.count * page)
            #expect(budget.measurements > 0)
            for (block, value) in written { #expect(try handle.bytes(block).contains(value)) }
            // More pages than fit: now something has to go.
            for block in 2000..<(2000 + pages) { handle.write(1, block) }
            #expect(!file.spills.isEmpty)
            #expect(handle.privateBytes(2000 + pages) <= budget.limit)
            for (block, value) in written { #expect(try handle.bytes(block).contains(value)) }
            #expect(file.complaints == [])
        }

        @Test("a measured block that is written to again counts as a whole, until it is measured again")
        func writtenAgain() throws {
            for block in 0..<(Self.limit + 1) { handle.write(1, block) }
            #expect(budget.usedBytes == Self.limit * page + size)
            #expect(handle.protection(0) == "r--")
            handle.write(2, 0, page)
            #expect(handle.protection(0) == "rw-")
            #expect(budget.usedBytes == (Self.limit - 1) * page + 2 * size)
            handle.write(3, 0, page + 1)
            #expect(handle.byte(0) == 1)
            #expect(handle.byte(0, page) == 2)
            #expect(file.spills == [])
        }

        @Test("the copy that a load made of a changed block counts, and is given back")
        func frames() throws {
            let file = try SpillFile(kind: .copies)
            for block in 0..<64 { file.set(block, 3) }
            let handle = try FileHandle(file, dirtyBudget: budget)
            let pool = handle.engine.pool
            let before = pool.usedBytes
            handle.write(1, 0)
            #expect(budget.usedBytes == 2 * size)
            for block in 1..<64 {
                handle.write(UInt8(block), block)
                // That there will be a copy is not known before the load.
                #expect(budget.usedBytes <= budget.limit + size)
            }
            #expect(!file.spills.isEmpty)
            #expect(pool.usedBytes - before <= budget.limit + size)
            try handle.spillAll()
            #expect(budget.usedBytes == 0)
            #expect(pool.usedBytes == before)
            for block in 1..<64 { #expect(handle.byte(block) == UInt8(block) && handle.byte(block, 1) == 3) }
        }

        @Test("blocks written to often are not the first to be spilled")
        func oldestFirst() throws {
            for block in 0..<6 { handle.fill(1, block) }
            for block in 100..<200 {
                handle.fill(value(block), block)
                handle.write(UInt8(block), 3, 77)
            }
            #expect(handle.byte(3, 77) == 199)
            #expect(file.spills.joined().filter { $0 == 3 }.count < file.spills.count / 2 + 1)
            #expect(file.spills.first?.contains(0) == true)
        }

        @Test("what ends a change ends its count: discard, mark, invalidation, close")
        func counted() throws {
            for block in 0..<10 { handle.write(1, block) }
            #expect(budget.usedBytes == 10 * size)
            try handle.invalidate([3, 4])
            #expect(budget.usedBytes == 8 * size)
            try handle.discard()
            #expect(budget.usedBytes == 0)
            for block in 0..<10 { handle.write(1, block) }
            try handle.writeout(.store)
            #expect(budget.usedBytes == 10 * size)
            try handle.writeout(.markStored)
            #expect(budget.usedBytes == 0)
            try handle.withUnsafeMutableBytes(of: (20 * size)..<(25 * size)) { _ in }
            #expect(budget.usedBytes == 5 * size)
            var other: FileHandle? = try FileHandle(file, dirtyBudget: budget)
            other?.write(1, 0)
            #expect(budget.usedBytes == 6 * size)
            other = nil
            #expect(budget.usedBytes == 5 * size)
            try handle.close()
            #expect(budget.usedBytes == 0)
            #expect(handle.engine.locked { $0.budgets[ObjectIdentifier(budget)] == nil })
        }

        @Test("a load that fails, and one that a writeout refuses, count nothing")
        func failedLoads() throws {
            file.onLookup { blocks in
                if blocks.contains(5) { throw MemoryFile.Failure(description: "no") }
            }
            #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 5) }
            #expect(budget.usedBytes == 0)
            handle.write(1, 0)
            file.onStore { [handle] _ in
                #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 7) }
            }
            try handle.writeout(.store)
            #expect(budget.usedBytes == size)
            #expect(handle.dirtyBlocks == [0])
        }

        @Test("without the page map everything counts as a whole, and is spilled all the same")
        func withoutPageMap() throws {
            let map = try Engine.shared().pageMap
            map.isEnabled = false
            defer { map.isEnabled = true }
            for block in 0..<(4 * Self.limit) { handle.write(value(block), block, page) }
            #expect(budget.measurements == 0)
            #expect(budget.spilledBlocks >= 3 * Self.limit)
            #expect(budget.spilledBytes == budget.spilledBlocks * page)
            for block in 0..<(4 * Self.limit) { #expect(handle.byte(block, page) == value(block)) }
            #expect(file.complaints == [])
        }

        @Test("the limit can be changed, and none means that nothing is spilled")
        func limits() throws {
            budget.limit = .max
            for block in 0..<(2 * Self.limit) { handle.fill(value(block), block) }
            #expect(file.spills == [])
            budget.limit = 4 * size
            handle.fill(value(2 * Self.limit), 2 * Self.limit)
            #expect(budget.usedBytes <= budget.limit)
            #expect(handle.privateBytes(100) <= budget.limit)
            budget.limit = 0
            for block in 0..<8 { handle.fill(value(block), block) }
            #expect(budget.usedBytes <= 3 * size)
            try expectFilled(2 * Self.limit + 1)
        }

        @Test("the statistics of the engine count dirty bytes and spilled blocks")
        func statistics() throws {
            let before = try VirtualMemory.statistics()
            for block in 0..<5 { handle.fill(1, block) }
            #expect(try VirtualMemory.statistics().dirtyBytes == before.dirtyBytes + 5 * size)
            try handle.spillAll()
            let after = try VirtualMemory.statistics()
            #expect(after.dirtyBytes == before.dirtyBytes)
            #expect(after.spilledBlocks == before.spilledBlocks + 5)
            #expect(after.evictableBlocks == before.evictableBlocks + 5)
        }

        @Test("two handles of one budget: the older changes go first, whose they are")
        func twoHandles() throws {
            let other = try SpillFile(pages: 4)
            let second = try FileHandle(other, dirtyBudget: budget)
            for block in 0..<(Self.limit / 2) { handle.fill(value(block), block) }
            for block in 0..<(6 * Self.limit) { second.fill(value(block), block) }
            #expect(file.spills.joined().sorted() == Array(0..<(Self.limit / 2)))
            #expect(!other.spills.isEmpty)
            #expect(budget.usedBytes <= budget.limit)
            try expectFilled(Self.limit / 2)
            for block in 0..<(6 * Self.limit) { #expect(second.byte(block, 9) == value(block)) }
        }
    }
}
