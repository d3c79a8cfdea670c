import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Blocks that leave memory before the end of their transaction, one at a time.
    @Suite(.watched) struct SpillTests {
        let file: SpillFile
        let budget: DirtyBudget
        let handle: FileHandle
        var size: Int { file.blockSize }

        init() throws {
            file = try SpillFile()
            for block in 0..<8 { file.set(block, UInt8(10 + block)) }
            budget = DirtyBudget(bytes: 8 * file.blockSize)
            handle = try FileHandle(file, dirtyBudget: budget)
        }

        private func isSpillFailed(_ error: any Error, _ block: Int) -> Bool {
            guard case VirtMemError.spillFailed("spill file", block, let cause) = error else { return false }
            return cause as? MemoryFile.Failure == MemoryFile.Failure(description: "disk full")
        }

        private func breakSpills() {
            file.onSpill { _ in throw MemoryFile.Failure(description: "disk full") }
        }

        // MARK: spillAll

        @Test(
            "a spilled block is clean, evictable, keeps its bytes, and can be changed and spilled again",
            arguments: SpillFile.Kind.allCases)
        func life(kind: SpillFile.Kind) throws {
            let file = try SpillFile(kind: kind)
            for block in 0..<8 { file.set(block, UInt8(10 + block)) }
            let handle = try FileHandle(file)
            for block in [1, 2, 4, 20] { handle.write(99, block, page) }
            try handle.spillAll()
            #expect(file.spills == [[1, 2, 4, 20]])
            #expect(!handle.isDirty)
            #expect(handle.privateBytes(32) == 0)
            for block in [1, 2, 4, 20] {
                #expect(handle.byte(block, page) == 99)
                #expect(handle.byte(block) == (block < 8 ? UInt8(10 + block) : 0))
                #expect(handle.protection(block) == "r--")
            }
            #expect(handle.evictable.sorted().filter { [1, 2, 4, 20].contains($0) } == [1, 2, 4, 20])
            try handle.reclaim(.max)
            #expect(handle.state(1) == nil)
            #expect(handle.byte(1, page) == 99)
            handle.write(98, 1, 2 * page)
            handle.write(98, 2, page)
            try handle.spillAll()
            #expect(file.spills.last == [1, 2])
            #expect(handle.byte(1, page) == 99)
            #expect(handle.byte(1, 2 * page) == 98)
            #expect(handle.byte(2, page) == 98)
            try handle.spillAll()
            #expect(file.spills.count == 2)
            #expect(file.complaints == [])
        }

        @Test("discard brings back what was spilled, invalidation of that what is committed")
        func discard() throws {
            for block in 0..<4 { handle.write(50, block) }
            try handle.spillAll()
            handle.write(60, 1)
            handle.write(60, 5)
            try handle.discard()
            #expect(handle.byte(1) == 50)
            #expect(handle.byte(5) == 15)
            let spilled = file.forgetSpilled()
            #expect(spilled == [0, 1, 2, 3])
            try handle.invalidate(spilled)
            for block in 0..<8 { #expect(handle.byte(block) == UInt8(10 + block)) }
        }

        @Test("a writeout stores what was changed since it was spilled; all of it is committed")
        func writeout() throws {
            for block in 0..<4 { handle.write(50, block) }
            try handle.spillAll()
            handle.write(60, 1, page)
            handle.write(60, 5)
            try handle.writeout(.store)
            #expect(file.stores == [1, 5])
            try handle.writeout(.markStored)
            file.publish()
            try handle.rebase()
            #expect(!handle.isDirty)
            let other = try FileHandle(file)
            for block in 0..<8 {
                #expect(try handle.bytes(block) == file.committed(block))
                #expect(try other.bytes(block) == file.committed(block))
            }
            #expect(other.byte(1) == 50)
            #expect(other.byte(1, page) == 60)
            #expect(other.byte(5) == 60)
            #expect(handle.privateBytes(8) == 0)
        }

        @Test("a block whose committed content is older than its private pages is spilled as a whole")
        func detached() throws {
            handle.write(50, 0)
            try handle.writeout([.store, .markStored])  // and no rebase yet
            file.publish()
            handle.write(60, 0, page)
            try handle.spillAll()
            #expect(handle.privateBytes(1) == 0)
            #expect(handle.byte(0) == 50)
            #expect(handle.byte(0, page) == 60)
            #expect(handle.byte(0, 2 * page) == 10)
            #expect(file.complaints == [])
        }

        @Test("a block that was made dirty and not written is clean again without a call")
        func unchanged() throws {
            try handle.withUnsafeMutableBytes(of: 0..<(3 * size)) { _ in }
            #expect(handle.dirtyBlocks == [0, 1, 2])
            try handle.spillAll()
            #expect(file.spills == [])
            #expect(!handle.isDirty)
            #expect(budget.usedBytes == 0)
            handle.write(1, 2)
            try handle.discard()
            #expect(handle.byte(2) == 12)
        }

        @Test("a file that cannot spill passes the budget; asked for it says so")
        func cannotSpill() throws {
            file.spillable.set(false)
            for block in 0..<40 { handle.fill(UInt8(block), block) }
            #expect(file.spills == [])
            #expect(budget.usedBytes == 40 * size)
            file.spillable.set(true)
            for block in 40..<60 { handle.fill(UInt8(block), block) }
            #expect(budget.usedBytes <= budget.limit)
            for block in 0..<60 { #expect(handle.byte(block, 3) == UInt8(block)) }

            let memory = MemoryFile()
            let plain = try FileHandle(memory, dirtyBudget: budget)
            try plain.spillAll()
            plain.write(1, 3)
            #expect {
                try plain.spillAll()
            } throws: { error in
                guard case VirtMemError.spillFailed("memory file", 3, _) = error else { return false }
                return true
            }
            #expect(plain.dirtyBlocks == [3])
        }

        // MARK: Failures

        @Test("a failing spill: scoped access throws it, blocks keep their change, and it can be tried again")
        func failure() throws {
            breakSpills()
            for block in 0..<8 { handle.fill(UInt8(100 + block), block) }
            #expect {
                try handle.writeScoped(1, 20)
            } throws: {
                isSpillFailed($0, 0)
            }
            #expect {
                try handle.spillAll()
            } throws: {
                isSpillFailed($0, 0)
            }
            #expect(handle.dirtyBlocks == Array(0..<8))
            #expect(handle.state(20) == nil)
            for block in 0..<8 { #expect(handle.byte(block, page) == UInt8(100 + block)) }
            handle.write(7, 0)  // counts as a whole already
            #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 21) }
            file.onSpill { _ in }
            try handle.writeScoped(1, 20)
            #expect(file.spills.count == 1)
            #expect(handle.byte(0) == 7)
            #expect(handle.byte(0, 1) == 100)
            #expect(handle.byte(20) == 1)
            #expect(file.complaints == [])
        }

        @Test("a scoped access that fails half-way leaves no pin")
        func failureReleasesPins() throws {
            breakSpills()
            for block in 0..<6 { handle.fill(1, block) }
            #expect(throws: VirtMemError.self) {
                try handle.withUnsafeMutableBytes(of: (10 * size)..<(20 * size)) { _ in }
            }
            file.onSpill { _ in }
            try handle.spillAll()
            #expect(!handle.isDirty)
            try handle.close()
        }

        @Test("a spilled block whose place cannot be told stays dirty, and is spilled again")
        func failureOfLookup() throws {
            for block in 0..<4 { handle.write(UInt8(100 + block), block) }
            file.onLookup { _ in throw MemoryFile.Failure(description: "disk full") }
            #expect {
                try handle.spillAll()
            } throws: {
                isSpillFailed($0, 0)
            }
            #expect(handle.dirtyBlocks == [0, 1, 2, 3])
            file.onLookup { _ in }
            handle.write(1, 2, page)
            try handle.spillAll()
            for block in 0..<4 { #expect(handle.byte(block) == UInt8(100 + block)) }
            #expect(handle.byte(2, page) == 1)
        }

        @Test("a failing spill under a lasting view: the program's handler may remove the cause")
        func failureOfView() async {
            await #expect(processExitsWith: .exitCode(0)) {
                startWatchdog()
                let file = try SpillFile()
                let handle = try FileHandle(file, dirtyBudget: DirtyBudget(bytes: 4 * file.blockSize))
                file.onSpill { _ in throw MemoryFile.Failure(description: "disk full") }
                let asked = Counter()
                FaultFailure.setHandler { failure in
                    asked.add()
                    guard case .spillFailed(_, 0, _) = failure.error, failure.isWrite, failure.block == 4
                    else { _exit(2) }
                    file.onSpill { _ in }
                    return .retry
                }
                for block in 0..<9 { handle.fill(UInt8(block + 1), block) }
                for block in 0..<9 where handle.byte(block, 9) != UInt8(block + 1) { _exit(3) }
                _exit(asked.value == 1 ? 0 : 4)
            }
        }

        // MARK: Scoped access

        @Test("blocks in scoped access are never spilled; the budget is passed instead")
        func pinned() throws {
            try handle.withUnsafeMutableBytes(of: 0..<(30 * size)) { bytes in
                for block in 0..<30 { bytes[block * size] = UInt8(200 + block) }
                #expect(budget.usedBytes == 30 * size)
                #expect(file.spills == [])
                for block in 40..<60 { handle.fill(1, block) }
                #expect(file.spills.joined().allSatisfy { $0 >= 40 })
                for block in 0..<30 { #expect(handle.protection(block) == "rw-") }
                #expect(throws: VirtMemError.self) { try handle.spillAll() }
                for block in 0..<30 { bytes[block * size + page] = UInt8(100 + block) }
            }
            #expect(handle.dirtyBlocks == Array(0..<30))
            for block in 60..<70 { handle.fill(1, block) }
            #expect(budget.usedBytes <= budget.limit)
            for block in 0..<30 {
                #expect(handle.byte(block) == UInt8(200 + block))
                #expect(handle.byte(block, page) == UInt8(100 + block))
            }
            #expect(file.complaints == [])
        }

        @Test("many blocks in one scoped access do not measure and look again for each")
        func pinnedMany() throws {
            let file = try SpillFile(pages: 1)
            let handle = try FileHandle(file, dirtyBudget: budget)
            let start = ContinuousClock.now
            try handle.withUnsafeMutableBytes(of: 0..<(20_000 * page)) { bytes in
                for block in 0..<20_000 { bytes[block * page] = 1 }
            }
            #expect(budget.measurements < 100)
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }
}
