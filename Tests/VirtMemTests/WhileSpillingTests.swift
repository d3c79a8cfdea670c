import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// What may run at the same time as a spill. A hang ends the process.
    @Suite struct WhileSpillingTests {
        /// A handle whose blocks 0 to 3 are being spilled by another thread, which
        /// stops in the backend until told to go on.
        final class Stage: Sendable {
            let file: SpillFile
            let budget: DirtyBudget
            let handle: FileHandle
            let entered = Gate()
            let gate = Gate()
            let spiller: Worker

            init(kind: SpillFile.Kind = .extents) throws {
                startWatchdog()
                file = try SpillFile(kind: kind)
                for block in 0..<8 { file.set(block, UInt8(10 + block)) }
                budget = DirtyBudget(bytes: 64 * file.blockSize)
                handle = try FileHandle(file, dirtyBudget: budget)
                for block in 0..<4 { handle.fill(UInt8(100 + block), block) }
                file.onSpill { [entered, gate] _ in
                    entered.open()
                    gate.wait()
                }
                spiller = Worker { [handle] in #expect(throws: Never.self) { try handle.spillAll() } }
                entered.wait()
            }

            /// Starts `body`, which must not end before the spill does.
            func expectToWait(_ body: @escaping @Sendable () throws -> Void) {
                let worker = Worker { #expect(throws: Never.self) { try body() } }
                usleep(50_000)
                #expect(worker.isRunning)
                #expect(spiller.isRunning)
                gate.open()
                #expect(worker.join())
                #expect(spiller.join())
                #expect(file.complaints == [])
            }
        }

        @Test("reads, loads, writes to other blocks and other handles go on")
        func othersGoOn() async {
            await #expect(processExitsWith: .success) {
                let stage = try Stage()
                let handle = stage.handle
                for block in 0..<4 { #expect(handle.byte(block) == UInt8(100 + block)) }
                #expect(try handle.bytes(2) == [UInt8](repeating: 102, count: handle.blockSize))
                #expect(handle.byte(5) == 15)
                handle.write(1, 5)
                try handle.writeScoped(1, 6)
                let other = try FileHandle(stage.file, dirtyBudget: stage.budget)
                other.write(1, 0)
                try other.invalidate([1])
                try other.discard()
                try other.close()
                #expect(handle.reclaimNothing())
                #expect(stage.spiller.isRunning)
                stage.gate.open()
                #expect(stage.spiller.join())
                #expect(handle.dirtyBlocks == [5, 6])
            }
        }

        @Test("a write to a block that is being spilled waits, and is kept", arguments: [false, true])
        func writeWaits(isScoped: Bool) async {
            await #expect(processExitsWith: .success) { [isScoped = isScoped as Bool] in
                for kind in SpillFile.Kind.allCases {
                    let stage = try Stage(kind: kind)
                    let handle = stage.handle
                    stage.expectToWait {
                        if isScoped { try handle.writeScoped(7, 1, page) } else { handle.write(7, 1, page) }
                    }
                    #expect(handle.dirtyBlocks == [1])
                    #expect(handle.byte(1, page) == 7)
                    #expect(handle.byte(1) == 101)
                    try handle.spillAll()
                    #expect(handle.byte(1, page) == 7)
                    #expect(handle.byte(1) == 101)
                    #expect(stage.file.complaints == [])
                }
            }
        }

        @Test("a read in scoped access during the spill keeps its memory", arguments: [0, 1, 2])
        func pinnedMeanwhile(kind: Int) async {
            await #expect(processExitsWith: .success) { [kind = kind as Int] in
                let stage = try Stage(kind: SpillFile.Kind.allCases[kind])
                let handle = stage.handle
                try handle.withUnsafeBytes(of: 0..<(4 * handle.blockSize)) { bytes in
                    stage.gate.open()
                    #expect(stage.spiller.join())
                    for block in 0..<4 { #expect(bytes[block * handle.blockSize] == UInt8(100 + block)) }
                    // Memory that is held present may go to a system call.
                    let null = open("/dev/null", O_WRONLY)
                    let pipe = Pipe()
                    #expect(write(null, bytes.baseAddress, bytes.count) == bytes.count)
                    #expect(write(pipe.fileHandleForWriting.fileDescriptor, bytes.baseAddress, 100) == 100)
                    close(null)
                }
                try handle.spillAll()
                #expect(!handle.isDirty)
                for block in 0..<4 { #expect(handle.byte(block, 9) == UInt8(100 + block)) }
            }
        }

        @Test("discard, invalidation, a writeout, another spill and close wait for the end")
        func endsWait() async {
            await #expect(processExitsWith: .success) {
                let size = try SpillFile().blockSize
                var stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.discard() }
                #expect(stage.handle.byte(0) == 100)  // spilled before

                stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.invalidate([0]) }
                #expect(stage.handle.state(0) == nil)
                #expect(stage.handle.byte(0) == 100)

                stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.invalidateAll() }
                #expect(stage.handle.residentBlocks == 0)

                stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.writeout([.store, .markStored]) }
                #expect(stage.file.stores == [])

                stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.writeout(.markStored) }

                stage = try Stage()
                stage.handle.write(1, 6)
                stage.expectToWait { [stage] in try stage.handle.spillAll() }
                #expect(stage.file.spills == [[0, 1, 2, 3], [6]])

                stage = try Stage()
                stage.expectToWait { [stage] in try stage.handle.close() }
                #expect(stage.budget.usedBytes == 0)
                #expect(stage.budget.spilledBytes == 4 * size)
            }
        }

        @Test("whoever waits to end the transaction comes before the rest of a long spill")
        func waiterComesFirst() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = try SpillFile()
                let budget = DirtyBudget(bytes: 3000 * file.blockSize)
                let handle = try FileHandle(file, dirtyBudget: budget)
                for block in 0..<3000 { handle.fill(1, block) }
                let entered = Gate()
                let gate = Gate()
                file.onSpill { _ in
                    entered.open()
                    gate.wait()
                }
                let writer = Worker { handle.write(1, 4000) }
                entered.wait()
                let ender = Worker { #expect(throws: Never.self) { try handle.discard() } }
                #expect(
                    eventually { handle.engine.locked { $0.handles[handle.id]?.spillWaiters.count == 1 } })
                gate.open()
                #expect(ender.join())
                #expect(writer.join())
                // The first call only, of the two that the limit asks for.
                #expect(file.spills.count == 1)
                #expect(file.spills[0].count <= 1024)
            }
        }

        @Test("a backend that calls its own handle from a spill is refused, not left waiting for itself")
        func callsFromWithin() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = try SpillFile()
                let budget = DirtyBudget(bytes: 4 * file.blockSize)
                let handle = try FileHandle(file, dirtyBudget: budget)
                let refused = Counter()
                let other = try FileHandle(MemoryFile(), dirtyBudget: budget)
                file.onSpill { [weak handle] _ in
                    guard let handle else { return }
                    let calls: [() throws -> Void] = [
                        { try handle.discard() }, { try handle.invalidate([0]) }, { try handle.close() },
                        { try handle.invalidateAll() }, { try handle.writeout(.store) },
                        { try handle.writeout(.markStored) }, { try handle.spillAll() },
                        { try handle.writeScoped(1, 0) }, { try other.spillAll() },
                    ]
                    for call in calls {
                        do { try call() } catch VirtMemError.writeoutInProgress { refused.add() }
                    }
                    try other.writeScoped(1, 0)  // past the budget, which it is about to lower
                }
                for block in 0..<5 { handle.fill(UInt8(block + 1), block) }
                #expect(file.spills.count == 1)
                #expect(refused.value == 9)
                #expect(other.dirtyBlocks == [0])
                for block in 0..<5 { #expect(handle.byte(block) == UInt8(block + 1)) }
            }
        }

        @Test("the last reference goes away during a spill: the memory stays until its end")
        func releasedMeanwhile() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = try SpillFile()
                let budget = DirtyBudget(bytes: 4 * file.blockSize)
                var handle: FileHandle? = try FileHandle(file, dirtyBudget: budget)
                let other = try FileHandle(try SpillFile(), dirtyBudget: budget)
                for block in 0..<4 { handle?.fill(9, block) }
                let entered = Gate()
                let gate = Gate()
                file.onSpill { _ in
                    entered.open()
                    gate.wait()
                }
                let writer = Worker { other.write(1, 0) }
                entered.wait()
                let engine = other.engine
                let id = try #require(handle).id
                handle = nil
                #expect(engine.locked { $0.handles[id] != nil })
                gate.open()
                #expect(writer.join())
                #expect(engine.locked { $0.handles[id] == nil })
                #expect(budget.usedBytes == file.blockSize)
                #expect(file.complaints == [])
            }
        }

        @Test("blocks are not spilled during a writeout of their handle, nor before they are marked")
        func duringWriteout() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = try SpillFile()
                let otherFile = try SpillFile()
                let budget = DirtyBudget(bytes: 6 * file.blockSize)
                let handle = try FileHandle(file, dirtyBudget: budget)
                let other = try FileHandle(otherFile, dirtyBudget: budget)
                for block in 0..<5 { handle.fill(UInt8(block + 1), block) }
                file.onStore { block in
                    guard block == 2 else { return }
                    #expect(throws: VirtMemError.self) { try handle.spillAll() }
                    let writer = Worker { for block in 0..<20 { other.fill(UInt8(block + 1), block) } }
                    #expect(writer.join())
                }
                try handle.writeout(.store)
                for block in 20..<40 { other.fill(UInt8(block + 1), block) }
                #expect(file.spills == [])
                #expect(!otherFile.spills.isEmpty)
                #expect(throws: VirtMemError.self) { try handle.spillAll() }
                try handle.writeout(.markStored)
                file.publish()
                try handle.rebase()
                for block in 10..<20 { handle.fill(UInt8(block + 1), block) }
                #expect(!file.spills.isEmpty)
                #expect(budget.usedBytes <= budget.limit)
                for block in 0..<5 { #expect(handle.byte(block) == UInt8(block + 1)) }
                for block in 0..<40 { #expect(other.byte(block) == UInt8(block + 1)) }
            }
        }

        @Test("many threads past the budget: one spills, the others wait, none is lost")
        func manyThreads() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 60)
                let file = try SpillFile()
                let budget = DirtyBudget(bytes: 8 * file.blockSize)
                let handle = try FileHandle(file, dirtyBudget: budget)
                let workers = (0..<24).map { index in
                    Worker {
                        for turn in 0..<20 {
                            let block = turn * 24 + index
                            if turn % 2 == 0 {
                                handle.fill(UInt8(truncatingIfNeeded: block), block)
                            } else {
                                let start = block * handle.blockSize
                                try? handle.withUnsafeMutableBytes(of: start..<(start + handle.blockSize)) {
                                    _ = $0.initializeMemory(
                                        as: UInt8.self, repeating: UInt8(truncatingIfNeeded: block))
                                }
                            }
                        }
                    }
                }
                for worker in workers { #expect(worker.join(seconds: 50)) }
                for block in 0..<480 {
                    let expected = [UInt8](
                        repeating: UInt8(truncatingIfNeeded: block), count: handle.blockSize)
                    #expect(try handle.bytes(block) == expected)
                }
                #expect(file.complaints == [])
                #expect(budget.usedBytes <= budget.limit + 24 * file.blockSize)
            }
        }
    }
}

extension FileHandle {
    /// Whether eviction of everything leaves the dirty blocks alone.
    fileprivate func reclaimNothing() -> Bool {
        let before = dirtyBlocks
        _ = try? reclaim(.max)
        return dirtyBlocks == before
    }
}
