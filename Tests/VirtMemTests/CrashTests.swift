import CVirtMem
import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

private let signalsSeen = Atomic<Int>(0)

extension EngineTests {
    /// What ends the process, and what other users of SIGSEGV see.
    @Suite struct CrashTests {
        @Test("C38 a fault outside every mapping ends the process by SIGSEGV", arguments: [false, true])
        func outside(isWrite: Bool) async {
            await #expect(processExitsWith: .signal(SIGSEGV)) { [isWrite = isWrite as Bool] in
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                let pointer = forbiddenPage()
                if isWrite { pointer.storeBytes(of: 1, as: UInt8.self) }
                #expect(pointer.load(as: UInt8.self) == 0)
            }
        }

        @Test("C39 SIGSEGV sent by kill is no page fault")
        func sentByKill() async {
            await #expect(processExitsWith: .signal(SIGSEGV)) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                kill(getpid(), SIGSEGV)
                sleep(20)
            }
        }

        @Test("C37 a plain handler installed before is called")
        func previousPlain() async {
            await #expect(processExitsWith: .exitCode(7)) {
                startWatchdog()
                signal(SIGSEGV) { _exit($0 == SIGSEGV ? 7 : 8) }
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                forbiddenPage().storeBytes(of: 1, as: UInt8.self)
            }
        }

        @Test("C37 C39 a handler with information gets the same address")
        func previousWithInfo() async {
            await #expect(processExitsWith: .exitCode(9)) {
                startWatchdog()
                var action = sigaction()
                action.sa_flags = Int32(SA_SIGINFO)
                // What a handler may do is to tell a real fault, by its address, from kill's.
                action.__sigaction_handler.sa_sigaction = { number, info, _ in
                    guard number == SIGSEGV, let info else { _exit(8) }
                    if info.pointee.si_code > 0 {
                        let address = UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
                        _exit(
                            address % UInt(systemPageSize) == 12 && signalsSeen.load(ordering: .relaxed) == 1
                                ? 9 : 8)
                    }
                    signalsSeen.add(1, ordering: .relaxed)
                }
                sigaction(SIGSEGV, &action, nil)
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                kill(getpid(), SIGSEGV)
                #expect(eventually { signalsSeen.load(ordering: .relaxed) == 1 })
                _ = handle.byte(1)
                forbiddenPage().storeBytes(of: 1, toByteOffset: 12, as: UInt8.self)
            }
        }

        @Test("C40 a load that touches an absent block ends the process there, and says so")
        func loadTouches() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                file.onLoad { _ in _ = handle.byte(5) }
                _ = try handle.bytes(0)
            }
            #expect(text(result).contains("VirtMem: loadblk touched memory of a mapping"))
        }

        @Test("C40 also on a service thread")
        func loadTouchesByFault() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                file.onLoad { _ in _ = handle.byte(5) }
                _ = handle.byte(0)
            }
            #expect(text(result).contains("VirtMem: loadblk touched memory of a mapping"))
        }

        @Test("C41 a store that touches an absent block ends the process there, and says so")
        func storeTouches() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                file.onStore { _ in _ = handle.byte(5) }
                handle.write(1, 0)
                try handle.writeout(.store)
            }
            #expect(text(result).contains("VirtMem: storeblk touched memory of a mapping"))
        }

        @Test("C46 a load that fails under a lasting view: the message names file, block and cause")
        func loadFails() async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = MemoryFile(
                    name: "array x", onLoad: { _ in throw MemoryFile.Failure(description: "disk on fire") })
                _ = try FileHandle(file).byte(3)
            }
            #expect(text(result).contains("array x: block 3 could not be loaded: disk on fire"))
        }

        @Test(
            "D13 D14 a write through a lasting view during a writeout ends the process", arguments: [0, 1, 2])
        func writeDuringWriteout(block: Int) async {
            let result = await #expect(
                processExitsWith: .signal(SIGSEGV), observing: [\.standardErrorContent]
            ) {
                [block = block as Int] in
                startWatchdog()
                let file = MemoryFile(name: "array x")
                let handle = try FileHandle(file)
                _ = handle.byte(1)
                handle.write(1, 0)
                file.onStore { _ in
                    Worker { handle.write(2, block) }.join()
                }
                try handle.writeout(.store)
            }
            #expect(text(result).contains("array x: cannot change"))
        }

        @Test("D8 the handle goes while a block of it loads: the thread's fault is nobody's any more")
        func goneWhileLoading() async {
            await #expect(processExitsWith: .exitCode(7)) {
                startWatchdog()
                signal(SIGSEGV) { _ in _exit(7) }
                let loading = Gate()
                let gate = Gate()
                let file = MemoryFile(onLoad: { _ in
                    loading.open()
                    gate.wait()
                })
                var handle: FileHandle? = try FileHandle(file)
                let address = UInt(bitPattern: handle?.baseAddress)
                let reader = Worker { _ = readByte(address) }
                loading.wait()
                handle = nil
                gate.open()
                reader.join()
            }
        }

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

        @Test("D17 V is not recursive")
        func recursion() async {
            await #expect(processExitsWith: .failure) {
                startWatchdog()
                let engine = try Engine.shared()
                engine.locked { _ in engine.locked { _ in } }
            }
        }

        @Test("a forked child that touches a mapping is told so")
        func fork() async {
            let result = await #expect(processExitsWith: .exitCode(11), observing: [\.standardErrorContent]) {
                startWatchdog()
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                let forkFunction = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "fork")
                let fork = unsafeBitCast(forkFunction, to: (@convention(c) () -> pid_t).self)
                let child = fork()
                if child == 0 {
                    _ = handle.byte(0)  // present: fine
                    _ = handle.byte(1)
                    _exit(0)
                }
                var status: Int32 = 0
                waitpid(child, &status, 0)
                _exit(status & 0x7f == SIGSEGV ? 11 : 12)
            }
            #expect(text(result).contains("forked child"))
        }

        @Test("V is a leaf: a file is never asked for its description under V")
        func descriptionUnderV() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                final class Chatty: BigFile {
                    let blockSize = page
                    var description: String {
                        // Traps if V is held by this thread.
                        (try? Engine.shared())?.locked { _ in }
                        return "chatty"
                    }
                    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {}
                    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
                        throw MemoryFile.Failure(description: "no")
                    }
                }
                let handle = try FileHandle(Chatty())
                let window = try handle.window(0..<1)
                #expect(throws: VirtMemError.self) { try handle.close() }
                withExtendedLifetime(window) {}
                handle.write(1, 0)
                #expect(throws: VirtMemError.self) { try handle.writeout(.store) }
                try handle.discard()
                let other = try FileHandle(Chatty())
                try other.close()
                #expect(throws: VirtMemError.self) { try other.discard() }
                #expect(throws: VirtMemError.self) { try other.bytes(0) }
                #expect(throws: VirtMemError.self) { try handle.bytes(1 << 40) }
            }
        }

        @Test("C44 the handler is installed once")
        func installOnce() throws {
            let handle = try FileHandle(MemoryFile())
            var before = sigaction()
            sigaction(SIGSEGV, nil, &before)
            #expect(cvirtmem_install() == 0)
            #expect(cvirtmem_install() == 0)
            var after = sigaction()
            sigaction(SIGSEGV, nil, &after)
            func address(_ action: sigaction) -> UInt {
                unsafeBitCast(action.__sigaction_handler.sa_sigaction, to: UInt.self)
            }
            #expect(address(before) == address(after))
            #expect(handle.byte(0) == 0)
        }

        @Test("C42 C43 errno and the signal mask are as before a fault or a call")
        func savedState() throws {
            let file = MemoryFile(onLoad: { _ in errno = 5 })
            let handle = try FileHandle(file)
            var mask = sigset_t()
            sigemptyset(&mask)
            sigaddset(&mask, SIGUSR2)
            var original = sigset_t()
            pthread_sigmask(SIG_BLOCK, &mask, &original)
            errno = 77
            let byte = handle.byte(0)
            let afterRead = errno
            errno = 78
            handle.write(1, 1)
            let afterWrite = errno
            #expect(byte == 0)
            #expect(afterRead == 77)
            #expect(afterWrite == 78)
            try handle.writeout(.store)
            try handle.discard()
            var now = sigset_t()
            pthread_sigmask(SIG_SETMASK, &original, &now)
            for number in 1..<32 {
                let expected = number == SIGUSR2 ? 1 : sigismember(&original, Int32(number))
                #expect(sigismember(&now, Int32(number)) == expected)
            }
        }

        @Test("C45 other signals are served while a thread waits for a block", withoutThreadSanitizer)
        func otherSignals() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let thread = Atomic<UInt>(0)
                let handle = try FileHandle(
                    MemoryFile(onLoad: { _ in
                        pthread_kill(pthread_t(thread.load(ordering: .acquiring)), SIGUSR1)
                        #expect(eventually { signalsSeen.load(ordering: .relaxed) == 1 })
                    }))
                signal(SIGUSR1) { _ in signalsSeen.add(1, ordering: .relaxed) }
                let reader = Worker {
                    var mask = sigset_t()
                    sigemptyset(&mask)
                    sigaddset(&mask, SIGUSR1)
                    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
                    thread.store(UInt(pthread_self()), ordering: .releasing)
                    _ = handle.byte(0)
                }
                #expect(reader.join())
                #expect(signalsSeen.load(ordering: .relaxed) == 1)
            }
        }
    }
}
