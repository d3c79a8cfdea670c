import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

/// Seconds of processor time that this process has used.
private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

extension EngineTests {
    /// How faults reach the service threads: none is forgotten, and nobody looks out for long.
    @Suite struct FaultQueueTests {
        @Test("a process that waits uses no processor time, right after many faults or later")
        func idle() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let handles = try (0..<8).map { _ in try FileHandle(MemoryFile()) }
                for _ in 0..<2 {
                    for handle in handles {
                        for block in 0..<64 { handle.write(1, block) }
                    }
                    let before = processorTime()
                    usleep(1_000_000)
                    #expect(processorTime() - before < 0.02)
                    for handle in handles { try handle.invalidateAll() }
                }
            }
        }

        @Test("D20 J6 threads that wait for a load use no processor time, by fault or scoped access")
        func waiting() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let gate = Gate()
                let file = MemoryFile(onLoad: { _ in gate.wait() })
                let handle = try FileHandle(file)
                let workers =
                    (0..<4).map { _ in Worker { _ = handle.byte(0) } }
                    + (0..<4).map { _ in Worker { _ = try? handle.bytes(0) } }
                #expect(
                    eventually {
                        handle.engine.locked { $0.handles[handle.id]?.blocks[0]?.waiters.count == 7 }
                    })
                let before = processorTime()
                usleep(1_000_000)
                #expect(processorTime() - before < 0.02)
                gate.open()
                for worker in workers { #expect(worker.join()) }
                #expect(file.loads == [0])
            }
        }

        // Pauses around the time that a service thread looks out before it sleeps: each
        // fault may come while one stops looking or falls asleep.
        @Test(
            "faults at any distance in time, of several threads: each is answered",
            arguments: [1, 2, 6], [false, true])
        func distances(threads: Int, oneProcessor: Bool) async {
            await #expect(processExitsWith: .success) {
                [threads = threads as Int, oneProcessor = oneProcessor as Bool] in
                startWatchdog(seconds: 60)
                if oneProcessor { #expect(support_use_one_processor() == 0) }
                let handle = try FileHandle(MemoryFile())
                let answered = Counter()
                let workers = (0..<threads).map { thread in
                    Worker {
                        var random = SeededGenerator(state: UInt64(thread))
                        for round in 0..<400 {
                            let pause = Int.random(in: 0..<200, using: &random)
                            if pause > 100 { usleep(UInt32(pause - 100)) }
                            for _ in 0..<pause { sched_yield() }
                            handle.write(UInt8(thread), thread * 400 + round)
                            answered.add()
                        }
                    }
                }
                for worker in workers { #expect(worker.join(seconds: 60)) }
                #expect(answered.value == threads * 400)
                #expect(handle.dirtyBlocks.count == threads * 400)
            }
        }

        @Test("many faults at once, while every load waits for the last of them", arguments: [3, 64])
        func burst(threads: Int) async {
            await #expect(processExitsWith: .success) { [threads = threads as Int] in
                startWatchdog(seconds: 60)
                let arrived = Counter()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                for round in 1...3 {
                    file.onLoad { _ in
                        arrived.add()
                        #expect(eventually { arrived.value >= round * threads })
                    }
                    let start = Gate()
                    let workers = (0..<threads).map { block in
                        Worker {
                            start.wait()
                            _ = handle.byte(block)
                        }
                    }
                    start.open()
                    for worker in workers { #expect(worker.join(seconds: 60)) }
                    #expect(arrived.value == round * threads)
                    try handle.invalidateAll()
                }
            }
        }
    }
}
