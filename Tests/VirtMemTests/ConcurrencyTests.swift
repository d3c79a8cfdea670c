import Foundation
import Synchronization
import Testing

@testable import VirtMem

// Each test runs in a process of its own: a thread that hangs in a fault can
// only be ended with its process, which the watchdog does.
extension EngineTests {
    @Suite struct ConcurrencyTests {
        @Test("D1 D20 two threads touch the same absent block: one load, the second waits and is woken")
        func sameBlock() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let gate = Gate()
                let file = MemoryFile(onLoad: { _ in gate.wait() })
                file.set(0, 5)
                let handle = try FileHandle(file)
                let faults = (0..<3).map { _ in Worker { #expect(handle.byte(0, 9) == 5) } }
                let scoped = Worker { #expect((try? handle.bytes(0))?[7] == 5) }
                func waiters() -> Int {
                    handle.engine.locked { $0.handles[handle.id]?.blocks[0]?.waiters.count ?? 0 }
                }
                #expect(eventually { waiters() == 3 })
                #expect(file.loads == [0])
                gate.open()
                for worker in faults + [scoped] { #expect(worker.join()) }
                #expect(file.loads == [0])
            }
        }

        @Test("D2 loads of different blocks wait for each other", arguments: [2, 40])
        func parallelLoads(threads: Int) async {
            await #expect(processExitsWith: .success) { [threads = threads as Int] in
                startWatchdog()
                let arrived = Atomic<Int>(0)
                let file = MemoryFile(onLoad: { _ in
                    arrived.add(1, ordering: .relaxed)
                    #expect(eventually { arrived.load(ordering: .relaxed) >= threads })
                })
                for block in 0..<threads { file.set(block, UInt8(block + 1)) }
                let handle = try FileHandle(file)
                let workers = (0..<threads).map { block in
                    Worker { #expect(handle.byte(block, page) == UInt8(block + 1)) }
                }
                for worker in workers { #expect(worker.join(seconds: 60)) }
                #expect(file.loads.sorted() == Array(0..<threads))
            }
        }

        @Test("D2 also where the first thread reads in sequence")
        func parallelLoadsInSequence() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 10)
                let two = Gate()
                let loading = Gate()
                let file = MemoryFile(onLoad: { block in
                    if block == 1 {
                        loading.open()
                        #expect(two.wait())
                    }
                    if block == 2 { two.open() }
                })
                let handle = try FileHandle(file)
                _ = handle.byte(0)
                let first = Worker { _ = handle.byte(1) }  // continues after block 0
                loading.wait()
                let second = Worker { _ = handle.byte(2) }
                #expect(second.join())
                #expect(first.join())
            }
        }

        @Test("D2 also where both threads want several blocks by scoped access", arguments: [false, true])
        func parallelScopedLoads(isWrite: Bool) async {
            await #expect(processExitsWith: .success) { [isWrite = isWrite as Bool] in
                startWatchdog(seconds: 10)
                let began = (0..<6).map { _ in Gate() }
                let file = MemoryFile(onLoad: { block in
                    began[block].open()
                    // The first thread's first load waits for the second's, and that one
                    // for the first's next.
                    if block == 0 { #expect(began[2].wait()) }
                    if block == 2 { #expect(began[1].wait()) }
                })
                for block in 0..<6 { file.set(block, UInt8(block + 1)) }
                let handle = try FileHandle(file)
                @Sendable func use(_ blocks: Range<Int>) throws {
                    let bytes = (blocks.lowerBound * file.blockSize)..<(blocks.upperBound * file.blockSize)
                    func look(_ at: Int) -> Int { (at - blocks.lowerBound) * file.blockSize + page }
                    if isWrite {
                        try handle.withUnsafeMutableBytes(of: bytes) { memory in
                            for block in blocks { #expect(memory[look(block)] == UInt8(block + 1)) }
                        }
                    } else {
                        try handle.withUnsafeBytes(of: bytes) { memory in
                            for block in blocks { #expect(memory[look(block)] == UInt8(block + 1)) }
                        }
                    }
                }
                let first = Worker { #expect(throws: Never.self) { try use(0..<4) } }
                #expect(began[0].wait())
                let second = Worker { #expect(throws: Never.self) { try use(2..<6) } }
                #expect(second.join())
                #expect(first.join())
                #expect(file.loads.sorted() == Array(0..<6))
            }
        }

        @Test("D3 a load wants lock Z while its holder invalidates: no deadlock")
        func loadAgainstInvalidation() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 10)
                let z = Mutex(())
                let holding = Gate()
                let loading = Gate()
                let file = MemoryFile(onLoad: { block in
                    guard block == 0 else { return }
                    loading.open()
                    holding.wait()
                    z.withLock { _ in }
                })
                let handle = try FileHandle(file)
                let other = try FileHandle(file)
                _ = handle.byte(1)
                _ = other.byte(1)
                let first = Worker { _ = handle.byte(0) }
                loading.wait()
                let second = Worker {
                    z.withLock { _ in
                        holding.open()
                        usleep(20_000)  // let the load reach Z
                        #expect(throws: Never.self) {
                            try handle.invalidate([1])
                            try other.invalidate([1])
                        }
                    }
                }
                #expect(second.join())
                #expect(first.join())
            }
        }

        @Test("D4 a store wants lock Z while its holder invalidates in another handle: no deadlock")
        func storeAgainstInvalidation() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 10)
                let z = Mutex(())
                let holding = Gate()
                let storing = Gate()
                let file = MemoryFile(onStore: { _ in
                    storing.open()
                    holding.wait()
                    z.withLock { _ in }
                })
                let handle = try FileHandle(file)
                let other = try FileHandle(file)
                handle.write(1, 0)
                _ = other.byte(0)
                let first = Worker {
                    #expect(throws: Never.self) { try handle.writeout([.store, .markStored]) }
                }
                storing.wait()
                let second = Worker {
                    z.withLock { _ in
                        holding.open()
                        usleep(20_000)
                        #expect(throws: Never.self) { try other.invalidate([0]) }
                        #expect(other.byte(1) == 0)
                    }
                }
                #expect(second.join())
                #expect(first.join())
                #expect(other.byte(0) == 1)
            }
        }

        @Test(
            "C33 D6 a block invalidated while it loads: the old bytes are dropped", arguments: [false, true])
        func invalidatedWhileLoading(scoped: Bool) async {
            await #expect(processExitsWith: .success) { [scoped = scoped as Bool] in
                startWatchdog()
                let loading = Gate()
                let gate = Gate()
                let file = MemoryFile()
                file.set(0, 1)
                file.onLoad { _ in
                    loading.open()
                    gate.wait()
                }
                let handle = try FileHandle(file)
                let reader = Worker {
                    if scoped {
                        #expect((try? handle.bytes(0))?[0] == 2)
                    } else {
                        #expect(handle.byte(0) == 2)
                    }
                }
                loading.wait()
                file.set(0, 2)
                try handle.invalidate([0])
                #expect(handle.state(0) == nil)
                #expect(throws: VirtMemError.self) { try handle.close() }  // D10: it still loads
                gate.open()
                #expect(reader.join())
                #expect(file.loads == [0, 0])
                #expect(handle.evictable == [0])
                try handle.close()
            }
        }

        @Test("B13 D7 reloaded and changed before the old load ends: the change survives")
        func changedBeforeOldLoadEnds() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let loading = Gate()
                let gate = Gate()
                let isFirst = Atomic<Bool>(true)
                let file = MemoryFile(onLoad: { _ in
                    if isFirst.exchange(false, ordering: .relaxed) {
                        loading.open()
                        gate.wait()
                    }
                })
                file.set(0, 1)
                let handle = try FileHandle(file)
                let old = Worker { #expect(handle.byte(0) == 2) }
                loading.wait()
                file.set(0, 2)
                try handle.invalidate([0])
                handle.write(3, 0, page)
                gate.open()
                #expect(old.join())
                #expect(handle.dirtyBlocks == [0])
                #expect(handle.byte(0) == 2)
                #expect(handle.byte(0, page) == 3)
                #expect(file.loads == [0, 0])
                try handle.writeout([.store, .markStored])
                #expect(file.byte(0, page) == 3)
            }
        }

        @Test("C3 D10 closing while a block loads is an error")
        func closeWhileLoading() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let loading = Gate()
                let gate = Gate()
                let file = MemoryFile(onLoad: { _ in
                    loading.open()
                    gate.wait()
                })
                let handle = try FileHandle(file)
                let reader = Worker { _ = handle.byte(0) }
                loading.wait()
                do {
                    try handle.close()
                    Issue.record("closed")
                } catch VirtMemError.loadInProgress {}
                gate.open()
                #expect(reader.join())
                try handle.close()
            }
        }

        @Test("closing waits for what is loaded before anybody asked for it", arguments: [false, true])
        func closeWhileLoadingAhead(fails: Bool) async {
            await #expect(processExitsWith: .success) { [fails] in
                startWatchdog()
                struct Broken: Error {}
                let loading = Gate()
                let gate = Gate()
                let file = try DiskFile()
                file.set(3, 1)
                file.onLookup { _ in
                    loading.open()
                    gate.wait()
                    if fails { throw Broken() }
                }
                let handle = try FileHandle(file)
                let (engine, id) = (handle.engine, handle.id)
                let loader = Worker {
                    guard let ticket = engine.locked({ $0.beginAhead(id, 3) }) else { return }
                    _ = try? engine.load(ticket)
                }
                loading.wait()
                let closed = Gate()
                let closer = Worker {
                    try? handle.close()
                    closed.open()
                }
                usleep(50_000)
                #expect(engine.locked { $0.handles[id] != nil })
                gate.open()
                #expect(loader.join())
                closed.wait()
                #expect(engine.locked { $0.handles[id] == nil })
                #expect(closer.join())
            }
        }

        @Test("D18 a load that opens, uses and drops other handles")
        func loadUsesOtherHandles() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let other = MemoryFile(name: "other")
                other.set(3, 33)
                let kept = try FileHandle(other)
                _ = kept.byte(1)
                let windows = Mutex<[Window]>([try kept.window(0..<2)])
                let file = MemoryFile()
                file.set(0, 5)
                let handle = try FileHandle(file)
                file.onLoad { _ in
                    let mine = try FileHandle(other)
                    #expect(try mine.bytes(3)[0] == 33)
                    try mine.writeScoped(4, 3)
                    try mine.discard()
                    windows.withLock { $0.removeAll() }
                    try kept.invalidate([1])
                    try kept.close()
                    try handle.invalidate([7])
                }
                #expect(handle.byte(0) == 5)
            }
        }

        @Test("discard while another thread writes: what stays is either dirty or clean")
        func discardAgainstWriter() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 60)
                let blocks = 8
                let handle = try FileHandle(MemoryFile())
                for _ in 0..<20 {
                    // Each page is written once, so a write that a discard does
                    // not see is not made good by a later one.
                    let writer = Worker {
                        for at in 0..<16 {
                            for block in 0..<blocks { handle.write(9, block, at * page) }
                        }
                    }
                    while writer.isRunning {
                        try handle.discard()
                        sched_yield()
                    }
                    let dirty = handle.dirtyBlocks
                    for block in 0..<blocks where !dirty.contains(block) {
                        #expect(try handle.bytes(block).allSatisfy { $0 == 0 })
                    }
                    try handle.discard()
                    for block in 0..<blocks { #expect(try handle.bytes(block).allSatisfy { $0 == 0 }) }
                }
            }
        }
    }
}
