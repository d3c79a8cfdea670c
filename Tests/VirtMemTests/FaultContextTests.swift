import CVirtMem
import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

extension EngineTests {
    /// What a fault needs of its thread, and what it leaves alone.
    @Suite struct FaultContextTests {
        // MARK: Masks and states

        @Test("C42 a thread that blocks SIGSEGV: scoped access works, a fault ends the process")
        func blocked() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                let worker = Worker {
                    var mask = sigset_t()
                    sigemptyset(&mask)
                    sigaddset(&mask, SIGSEGV)
                    pthread_sigmask(SIG_BLOCK, &mask, nil)
                    #expect(throws: Never.self) {
                        #expect(try handle.bytes(1)[0] == 0)
                        try handle.writeScoped(3, 2)
                    }
                    #expect(handle.byte(2) == 3)
                    var now = sigset_t()
                    pthread_sigmask(SIG_SETMASK, nil, &now)
                    #expect(sigismember(&now, SIGSEGV) == 1)
                    mark(reached)
                    _ = handle.byte(3)
                }
                worker.join()
            }
            #expect(text(result).contains(reached))
        }

        @Test("C42 no bit of the mask changes by a fault, whichever bits are set", arguments: [1, 2, 3])
        func mask(seed: Int) throws {
            let handle = try FileHandle(MemoryFile())
            var random = SeededGenerator(state: UInt64(seed))
            var wanted = sigset_t()
            var original = sigset_t()
            sigemptyset(&wanted)
            for number in 1...64 where Bool.random(using: &random) && number != SIGSEGV {
                sigaddset(&wanted, Int32(number))
            }
            pthread_sigmask(SIG_SETMASK, &wanted, &original)
            // The system leaves bits out that may never be blocked.
            pthread_sigmask(SIG_SETMASK, nil, &wanted)
            _ = handle.byte(0)
            handle.write(1, 0)
            var now = sigset_t()
            pthread_sigmask(SIG_SETMASK, &original, &now)
            for number in 1...64 {
                #expect(sigismember(&now, Int32(number)) == sigismember(&wanted, Int32(number)))
            }
        }

        @Test(
            "C43 registers, x87, SSE and AVX state and their control words survive a fault",
            .enabled(if: support_knows_registers() != 0), arguments: [0, 1])
        func registers(isWrite: Int) throws {
            let file = MemoryFile(onLoad: { _ in _ = (0..<100).reduce(0.0) { $0 + 1 / Double($1 + 1) } })
            let handle = try FileHandle(file)
            for block in stride(from: 0, to: 64, by: 16) {
                let address = handle.baseAddress + block * file.blockSize
                #expect(support_touch_with_registers(address, Int32(isWrite)) == 0)
            }
            #expect(file.loads.count == 4)
        }

        @Test("a fault is no cancellation point")
        func cancellation() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                #expect(support_read_while_cancelled(handle.baseAddress) == 1)
                #expect(handle.state(0) == .loaded)
            }
        }

        // MARK: Stacks

        @Test(
            "a thread with little stack: room for a signal frame, or an alternate stack", arguments: [0, 1])
        func littleStack(hasAlternate: Int) async {
            await #expect(processExitsWith: .success) { [hasAlternate = hasAlternate as Int] in
                startWatchdog()
                let file = MemoryFile()
                file.set(3, 77)
                let handle = try FileHandle(file)
                let address = handle.baseAddress + 3 * file.blockSize
                // Without an alternate stack the kernel needs room for the registers.
                let frame = max(2048, Int(sysconf(Int32(_SC_MINSIGSTKSZ))))
                let read =
                    hasAlternate != 0
                    ? support_read_with_stack(address, 256, max(64 << 10, 4 * frame))
                    : support_read_with_stack(address, frame + 8192, 0)
                #expect(read == 77)
            }
        }

        @Test("a thread with no room for a signal frame and no alternate stack ends the process")
        func noStack() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                mark(reached)
                _ = support_read_with_stack(handle.baseAddress + handle.blockSize, 256, 0)
            }
            #expect(text(result).contains(reached))
        }

        @Test("a previous handler runs on the alternate stack of the thread, as ours does")
        func alternateStack() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let foreign = forbiddenPage()
                #expect(support_install_recorder(1, Int32(SA_ONSTACK), 0, foreign, page) == 0)
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                #expect(support_read_with_stack(foreign, 256, 64 << 10) == 0)
                #expect(support_last_seen().count == 1)
            }
        }

        @Test("a stack overflow of the program is a crash, not a hang", arguments: [0, 64 << 10])
        func overflow(alternate: Int) async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV),
                observing: [\.standardErrorContent]
            ) { [alternate = alternate as Int] in
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                mark(reached)
                _ = support_overflow_stack(alternate)
            }
            #expect(text(result).contains(reached))
        }
    }
}
