import CVirtMem
import CVirtMemTestSupport
import Foundation
import Synchronization
import Testing

@testable import VirtMem

extension EngineTests {
    /// The engine's SIGSEGV handler beside others.
    @Suite struct ForeignHandlerTests {
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
    }
}
