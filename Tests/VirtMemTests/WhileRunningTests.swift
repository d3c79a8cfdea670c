import Foundation
import Synchronization
import Testing

@testable import VirtMem

// Table 2 of the behaviours: what may run at the same time on one handle.
extension EngineTests {
    @Suite struct WhileRunningTests {
        /// A handle with block 0 dirty and block 1 loaded, whose backend stops
        /// in the load of block 7 or the store of block 0 until told to go on.
        final class Stage: Sendable {
            let file = MemoryFile()
            let handle: FileHandle
            let entered = Gate()
            let gate = Gate()

            init() throws {
                for block in 0..<9 { file.set(block, UInt8(10 + block)) }
                handle = try FileHandle(file)
                handle.write(99, 0)
                _ = handle.byte(1)
                file.onLoad { [entered, gate] block in
                    guard block == 7 else { return }
                    entered.open()
                    gate.wait()
                }
                file.onStore { [entered, gate] block in
                    guard block == 0 else { return }
                    entered.open()
                    gate.wait()
                }
            }
        }

        @Test("T2 while a load runs: everything but close")
        func whileLoading() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let stage = try Stage()
                let handle = stage.handle
                let loader = Worker { #expect(handle.byte(7) == 17) }
                stage.entered.wait()
                #expect(handle.byte(3) == 13)  // load of another block
                #expect(handle.byte(1) == 11)  // read of a cached one
                handle.write(50, 1)  // first write to a clean one
                handle.write(51, 0, 1)  // write to a dirty one
                try handle.invalidate([3])
                #expect(throws: VirtMemError.self) { try handle.close() }
                _ = try handle.window(5..<9)
                handle.write(52, 4)
                stage.gate.open()  // the gate also stops the store of block 0
                let isStillLoading = handle.state(7)
                try handle.writeout([.store, .markStored])
                handle.write(53, 4)
                try handle.discard()
                #expect(handle.byte(4) == 52)
                #expect(loader.join())
                #expect(isStillLoading == .loading || isStillLoading == .loaded)
                try handle.close()
            }
        }

        @Test("T2 while a load runs: writeout and discard")
        func writeoutWhileLoading() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let stage = try Stage()
                let handle = stage.handle
                stage.file.onStore { _ in }
                let loader = Worker { #expect(handle.byte(7) == 17) }
                stage.entered.wait()
                try handle.writeout([.store, .markStored])
                #expect(stage.file.stores == [0])
                handle.write(53, 1)
                try handle.discard()
                #expect(handle.byte(1) == 11)
                #expect(loader.isRunning)
                stage.gate.open()
                #expect(loader.join())
            }
        }

        @Test("C3 D11 D12 D13 D14 D15 D16 T2 while a store runs: reads go on, changes are errors")
        func whileStoring() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let stage = try Stage()
                let handle = stage.handle
                handle.write(98, 2)
                let writer = Worker {
                    #expect(throws: Never.self) { try handle.writeout([.store, .markStored]) }
                }
                stage.entered.wait()
                func isRefused(_ body: () throws -> Void) -> Bool {
                    do { try body() } catch VirtMemError.writeoutInProgress("memory file", _) {
                        return true
                    } catch {}
                    return false
                }
                #expect(isRefused { try handle.writeout(.store) })
                #expect(isRefused { try handle.writeout(.markStored) })
                #expect(isRefused { try handle.writeout([.store, .markStored]) })
                #expect(isRefused { try handle.discard() })
                #expect(isRefused { try handle.invalidate([1]) })
                #expect(isRefused { try handle.invalidateAll() })
                #expect(isRefused { try handle.close() })
                #expect(isRefused { try handle.writeScoped(1, 1) })  // first write, loaded
                #expect(isRefused { try handle.writeScoped(1, 4) })  // first write, absent
                #expect(isRefused { try handle.writeScoped(1, 2) })  // write to a dirty one
                #expect(
                    isRefused {
                        try handle.withUnsafeMutableBytes(of: 0..<(9 * handle.blockSize)) { _ in }
                    })
                #expect(handle.byte(0) == 99)
                #expect(handle.byte(5) == 15)
                #expect(try handle.bytes(6)[0] == 16)
                _ = try handle.window(0..<2)
                #expect(handle.dirtyBlocks == [0, 2])
                #expect(handle.protection(0) == "r--")

                let other = try FileHandle(stage.file)
                other.write(5, 0)
                try other.discard()
                _ = other.byte(1)
                try other.invalidate([0, 1])
                try other.close()

                stage.gate.open()
                #expect(writer.join())
                #expect(stage.file.stores == [0, 2])
                #expect(!handle.isDirty)
                // What was refused left nothing behind: all is evictable, and closes.
                stage.file.onLoad { _ in }
                try handle.rebase()
                let resident = handle.residentBlocks
                #expect(handle.evictable.count == resident)
                try handle.writeScoped(1, 1)
                try handle.discard()
                try handle.close()
            }
        }

        @Test("a scoped write refused in a writeout leaves no pin behind")
        func refusedWriteLeavesNoPin() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let stage = try Stage()
                let handle = stage.handle
                let writer = Worker { #expect(throws: Never.self) { try handle.writeout(.store) } }
                stage.entered.wait()
                #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 4) }
                #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 1) }
                stage.gate.open()
                #expect(writer.join())
                #expect(handle.evictable.sorted() == [1, 4])
                try handle.close()
            }
        }

        @Test("from inside a store: the rules of a running writeout hold for the backend, too")
        func insideStore() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let stage = try Stage()
                let handle = stage.handle
                stage.file.onStore { (_: Int) throws in
                    #expect(throws: VirtMemError.self) { try handle.discard() }
                    #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 0) }
                    #expect(try handle.bytes(5)[0] == 15)
                }
                try handle.writeout([.store, .markStored])
                #expect(stage.file.stores == [0])
            }
        }

        private static func isRefusedForAccess(_ body: () throws -> Void) -> Bool {
            do { try body() } catch VirtMemError.accessInProgress("memory file", "write out changes") {
                return true
            } catch {}
            return false
        }

        @Test("T2 a writeout during a scoped write is refused, and the write goes on")
        func writeoutDuringScopedWrite() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                let size = file.blockSize
                try handle.withUnsafeMutableBytes(of: 0..<(3 * size)) { bytes in
                    bytes[0] = 1
                    #expect(Self.isRefusedForAccess { try handle.writeout(.store) })
                    let other = Worker {
                        #expect(Self.isRefusedForAccess { try handle.writeout([.store, .markStored]) })
                    }
                    #expect(other.join())
                    #expect(handle.protection(0) == "rw-")
                    bytes[2 * size] = 3
                    // Marking asks nobody, and finds the later change all the same.
                    try handle.writeout(.markStored)
                    bytes[size] = 2
                    #expect(handle.dirtyBlocks == [1])
                }
                #expect(file.stores == [])
                try handle.writeout([.store, .markStored])
                #expect(file.stores == [1])
                #expect((0..<3).map { handle.byte($0) } == [1, 2, 3])
                // A scoped write that failed, or was of nothing, is not under way.
                file.onLoad { _ in throw MemoryFile.Failure(description: "no") }
                #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 7) }
                try handle.withUnsafeMutableBytes(of: 5..<5) { _ in }
                try handle.withUnsafeBytes(of: 0..<8) { _ in try handle.writeout(.store) }
            }
        }

        @Test("T2 scoped writes and writeouts of two threads: each goes through as a whole or is refused")
        func scopedWritesAgainstWriteouts() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 60)
                let file = MemoryFile()
                let handle = try FileHandle(file)
                let blocks = 5
                // Each write sets the whole range to one number, in two halves.
                file.onStore { _ in sched_yield() }
                let writes = Counter()
                let writeouts = Counter()
                let refused = Counter()
                let writer = Worker {
                    var round = 0
                    while writes.value < 100 || writeouts.value < 100 || refused.value < 10 {
                        round += 1
                        let value = UInt8(truncatingIfNeeded: round)
                        do {
                            try handle.withUnsafeMutableBytes(of: 0..<(blocks * file.blockSize)) { bytes in
                                for block in 0..<blocks { bytes[block * file.blockSize] = value }
                                if round % 7 == 0 { sched_yield() }
                                for block in 0..<blocks { bytes[block * file.blockSize + page] = value }
                            }
                            writes.add()
                        } catch VirtMemError.writeoutInProgress {
                            refused.add()
                        } catch {
                            Issue.record(error)
                        }
                        usleep(UInt32(round % 50))
                    }
                }
                while writer.isRunning {
                    do {
                        try handle.writeout([.store, .markStored])
                        writeouts.add()
                        let stored = (0..<blocks).flatMap { [file.byte($0), file.byte($0, page)] }
                        #expect(Set(stored).count == 1)
                    } catch VirtMemError.accessInProgress {
                        refused.add()
                    }
                }
                #expect(writer.join())
                try handle.writeout([.store, .markStored])
                try handle.close()
            }
        }
    }
}
