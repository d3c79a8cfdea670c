import CVirtMem
import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

extension EngineTests {
    /// Signal handlers of the program that touch mapped memory.
    @Suite struct SignalHandlerTests {
        @Test(
            "C45 a signal handler touches an absent block while its thread waits for another",
            withoutThreadSanitizer)
        func handlerFaults() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let thread = Atomic<UInt>(0)
                let file = MemoryFile()
                let handle = try FileHandle(file)
                #expect(support_read_on_signal(SIGUSR1, handle.baseAddress + 40 * file.blockSize) == 0)
                file.onLoad { block in
                    if block != 0 { return }
                    // The load of block 0 ends only after the handler has had block 40.
                    pthread_kill(pthread_t(thread.load(ordering: .acquiring)), SIGUSR1)
                    #expect(eventually { support_signal_reads() == 1 })
                }
                let reader = Worker {
                    unblock(SIGUSR1)
                    thread.store(UInt(pthread_self()), ordering: .releasing)
                    _ = handle.byte(0)
                }
                #expect(reader.join())
                #expect(file.loads.sorted() == [0, 40])
                #expect(support_signal_reads() == 1)
            }
        }

        @Test(
            "C45 signal handlers touch absent blocks all the time, and so does the thread they interrupt",
            withoutThreadSanitizer)
        func manySignals() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                #expect(support_read_on_signal(SIGALRM, handle.baseAddress + 40 * file.blockSize) == 0)
                let thread = Atomic<UInt>(0)
                let isDone = Atomic<Bool>(false)
                let reader = Worker {
                    unblock(SIGALRM)
                    thread.store(UInt(pthread_self()), ordering: .releasing)
                    // In no call of the engine's: such a thread may be interrupted anywhere.
                    while support_signal_reads() < 200 { _ = handle.byte(0) }
                    isDone.store(true, ordering: .releasing)
                }
                #expect(eventually { thread.load(ordering: .acquiring) != 0 })
                #expect(
                    eventually {
                        if !isDone.load(ordering: .acquiring) {
                            pthread_kill(pthread_t(thread.load(ordering: .acquiring)), SIGALRM)
                        }
                        try? handle.invalidate([0, 40])
                        return isDone.load(ordering: .acquiring)
                    })
                #expect(reader.join())
                #expect(file.loads.count > 2)
            }
        }
    }
}
