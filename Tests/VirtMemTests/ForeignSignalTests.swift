import CVirtMem
import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

private func forbiddenPage() -> UnsafeMutableRawPointer {
    mmap(nil, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
}

private func text(_ result: ExitTest.Result?) -> String {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
}

/// Says on standard error that the test got here.
private func mark(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(2, line, line.count)
}

/// Threads of the test library block signals, and threads inherit that.
private func unblock(_ number: Int32) {
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, number)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
}

private let reached = "reached the point"

extension EngineTests {
    /// The engine's SIGSEGV handler beside others, and what a fault leaves alone.
    @Suite struct ForeignSignalTests {
        // MARK: Handlers from before

        /// What kind of handler is there before the engine's.
        struct Previous: Sendable, Codable, CustomTestStringConvertible {
            var hasInfo: Bool
            var flags: Int32 = 0
            var masked: Int32 = 0
            var testDescription: String { "info \(hasInfo), flags \(flags), masks \(masked)" }
        }

        @Test(
            "C37 the previous handler gets a fault outside, as from the kernel: arguments, mask, and back again",
            withoutThreadSanitizer,
            arguments: [
                Previous(hasInfo: false), Previous(hasInfo: true),
                Previous(hasInfo: true, flags: Int32(SA_NODEFER), masked: SIGUSR1),
                Previous(hasInfo: false, flags: Int32(SA_ONSTACK), masked: SIGUSR1),
            ])
        func previous(_ previous: Previous) async {
            await #expect(processExitsWith: .success) { [previous = previous as Previous] in
                startWatchdog()
                let foreign = forbiddenPage()
                #expect(
                    support_install_recorder(
                        previous.hasInfo ? 1 : 0, previous.flags, previous.masked, foreign, page) == 0)
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                handle.write(1, 1)
                #expect(support_last_seen().count == 0)

                var mask = sigset_t()
                sigemptyset(&mask)
                sigaddset(&mask, SIGUSR2)
                pthread_sigmask(SIG_SETMASK, &mask, nil)
                errno = 55
                foreign.storeBytes(of: 9, toByteOffset: 12, as: UInt8.self)
                let error = errno
                #expect(error == 55)
                #expect(foreign.load(fromByteOffset: 12, as: UInt8.self) == 9)

                let seen = support_last_seen()
                #expect(seen.count == 1)
                #expect(seen.signal_number == SIGSEGV)
                if previous.hasInfo {
                    #expect(seen.address == UInt(bitPattern: foreign) + 12)
                    #expect(seen.code == 2)  // SEGV_ACCERR
                    #expect(seen.program_counter != 0)
                }
                // Blocked in it: what it asked for, SIGSEGV unless it asked otherwise, what was before.
                #expect(seen.blocks_usr1 == (previous.masked == SIGUSR1 ? 1 : 0))
                #expect(seen.blocks_segv == (previous.flags & Int32(SA_NODEFER) != 0 ? 0 : 1))
                #expect(seen.blocks_usr2 == 1)
                // Afterwards: as before.
                var now = sigset_t()
                pthread_sigmask(SIG_SETMASK, nil, &now)
                #expect(sigismember(&now, SIGUSR2) == 1)
                #expect(sigismember(&now, SIGUSR1) == 0)
                #expect(sigismember(&now, SIGSEGV) == 0)
                #expect(handle.byte(2) == 0)
            }
        }

        @Test("C37 a previous handler that wanted to run once runs once")
        func once() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let foreign = forbiddenPage()
                #expect(
                    support_install_recorder(
                        1, Int32(bitPattern: UInt32(SA_RESETHAND)), 0, foreign, page) == 0)
                let handle = try FileHandle(MemoryFile())
                foreign.storeBytes(of: 9, as: UInt8.self)
                #expect(support_last_seen().count == 1)
                #expect(handle.byte(0) == 0)
                mark(reached)
                forbiddenPage().storeBytes(of: 9, as: UInt8.self)
            }
            #expect(text(result).contains(reached))
        }

        @Test("C39 a signal sent with an address of ours in it goes to the previous handler")
        func forged() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                #expect(support_install_recorder(1, 0, 0, nil, 0) == 0)
                let file = MemoryFile()
                let handle = try FileHandle(file)
                let absent = handle.baseAddress + 5 * file.blockSize
                for (index, code) in [-1, -6].enumerated() {  // SI_QUEUE, SI_TKILL
                    #expect(support_send_segv(Int32(code), absent) == 0)
                    let seen = support_last_seen()
                    #expect(seen.count == index + 1)
                    #expect(seen.code == code)
                    #expect(seen.address == UInt(bitPattern: absent))
                }
                #expect(file.loads == [])
                #expect(handle.byte(5) == 0)
                #expect(support_last_seen().count == 2)
            }
        }

        @Test("C39 SIGSEGV ignored: sent ones are ignored and interrupt nothing, faults end the process")
        func ignored() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                signal(SIGSEGV, SIG_IGN)
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                var ends: [Int32] = [0, 0]
                pipe(&ends)
                let thread = Atomic<UInt>(0)
                let got = Atomic<Int>(0)
                let reader = Worker { [ends] in
                    thread.store(UInt(pthread_self()), ordering: .releasing)
                    var byte: UInt8 = 0
                    got.store(read(ends[0], &byte, 1), ordering: .releasing)
                }
                #expect(eventually { thread.load(ordering: .acquiring) != 0 })
                for _ in 0..<20 {
                    usleep(1000)
                    pthread_kill(pthread_t(thread.load(ordering: .acquiring)), SIGSEGV)
                }
                var byte: UInt8 = 1
                write(ends[1], &byte, 1)
                reader.join()
                #expect(got.load(ordering: .acquiring) == 1)
                kill(getpid(), SIGSEGV)
                mark(reached)
                // Not canonical: the kernel gives no address, and the code SI_KERNEL.
                _ = readByte(UInt(0x8000_0000_0000_0000))
            }
            #expect(text(result).contains(reached))
        }

        // MARK: Handlers from later

        @Test("a handler installed later that calls the one it found: both do their work")
        func laterChaining() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let foreign = forbiddenPage()
                #expect(support_install_recorder(1, 0, 0, foreign, page) == 0)
                let handle = try FileHandle(MemoryFile())
                #expect(support_install_chaining() == 0)
                #expect(handle.byte(0) == 0)
                handle.write(7, 1)
                #expect(handle.byte(1) == 7)
                #expect(support_chaining_count() == 2)
                #expect(support_last_seen().count == 0)
                foreign.storeBytes(of: 9, as: UInt8.self)
                #expect(support_chaining_count() == 3)
                #expect(support_last_seen().count == 1)
                // Asking for the engine again does not go over the later handler.
                #expect(cvirtmem_install() == 0)
                _ = handle.byte(2)
                #expect(support_chaining_count() == 4)
            }
        }

        @Test("a handler installed later that does not call ours: faults are its own, scoped access goes on")
        func laterAlone() async {
            let result = await #expect(processExitsWith: .exitCode(21), observing: [\.standardErrorContent]) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                #expect(support_install_exiting(21) == 0)
                #expect(try handle.bytes(1)[0] == 0)
                try handle.writeScoped(3, 2)
                #expect(handle.byte(2) == 3)
                #expect(handle.byte(1) == 0)
                mark(reached)
                _ = handle.byte(3)
            }
            #expect(text(result).contains(reached))
        }

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

        // MARK: Faults that are bugs

        @Test(
            "C38 the process dies at the instruction that touched null",
            withoutSanitizer, arguments: [0, 1])
        func nullSite(isWrite: Int) async {
            await #expect(processExitsWith: .success) { [isWrite = isWrite as Int] in
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                let trace = support_trace_null(Int32(isWrite))
                if trace.error == EPERM { return mark("ptrace is not allowed here") }
                #expect(trace.error == 0)
                // Once for our handler, once to end it; each time at the instruction.
                #expect(trace.stops == 2)
                #expect(trace.elsewhere == 0)
                #expect(trace.status & 0x7f == SIGSEGV)
            }
        }

        @Test("a jump into a mapping ends the process, loads nothing", arguments: [false, true])
        func jump(isLoaded: Bool) async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) { [isLoaded = isLoaded as Bool] in
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                if isLoaded { _ = handle.byte(0) }
                file.onLoad { _ in mark("loaded for a jump") }
                mark(reached)
                support_jump(handle.baseAddress)
            }
            #expect(text(result).contains(reached))
            #expect(!text(result).contains("loaded for a jump"))
        }

        // MARK: Signal handlers that touch mapped memory

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

        @Test("memory touched under the engine's lock ends the process with a message, not in a hang")
        func underLock() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                handle.engine.locked { _ in _ = handle.byte(0) }
            }
            #expect(text(result).contains("code under the engine's lock touched memory of a mapping"))
        }
    }
}
