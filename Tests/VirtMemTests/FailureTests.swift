import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Faults that cannot be resolved, and processes that may not use the engine.
    @Suite struct FailureTests {
        private func text(_ result: ExitTest.Result?) -> String {
            String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        }

        @Test("C46 the program's handler hears of a failed load, with file, block and cause")
        func handler() async {
            await #expect(processExitsWith: .exitCode(21)) {
                startWatchdog()
                FaultFailure.setHandler { failure in
                    let isRight =
                        failure.file == "unlucky" && failure.block == 3 && !failure.isWrite
                        && "\(failure)".contains("no such luck")
                    _exit(isRight ? 21 : 22)
                }
                let file = MemoryFile(
                    name: "unlucky", onLoad: { _ in throw MemoryFile.Failure(description: "no such luck") })
                let handle = try FileHandle(file)
                _ = handle.byte(3)
            }
        }

        @Test("C46 a handler may remove the cause and have the load tried again")
        func retry() async {
            await #expect(processExitsWith: .exitCode(0)) {
                startWatchdog()
                let isBroken = Flag(true)
                FaultFailure.setHandler { _ in
                    isBroken.set(false)
                    return .retry
                }
                let file = MemoryFile(
                    onLoad: { _ in if isBroken.get() { throw MemoryFile.Failure(description: "broken") } })
                file.set(0, 77)
                let handle = try FileHandle(file)
                guard handle.byte(0) == 77, file.loads == [0, 0] else { _exit(1) }
                _exit(0)
            }
        }

        @Test("a file cut off under a mapping ends the process by SIGBUS and is named")
        func cutOff() async {
            let result = await #expect(
                processExitsWith: .signal(SIGBUS), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = try DiskFile()
                file.set(0, 1)
                file.set(1, 2)
                let handle = try FileHandle(file)
                _ = handle.byte(1)
                ftruncate(file.descriptor, off_t(file.blockSize))
                _ = handle.byte(1, 5 * page)
            }
            #expect(text(result).contains("disk file"))
            #expect(text(result).contains("cut off"))
            #expect(text(result).contains("block 1"))
        }

        @Test("SIGBUS elsewhere goes to the handler before ours")
        func foreignBus() async {
            await #expect(processExitsWith: .exitCode(11)) {
                startWatchdog()
                signal(SIGBUS) { _exit($0 == SIGBUS ? 11 : 12) }
                let handle = try FileHandle(MemoryFile())
                _ = handle.byte(0)
                let file = try DiskFile()
                let empty = mmap(nil, page, PROT_READ, MAP_SHARED, file.descriptor, 0)!
                _ = readByte(UInt(bitPattern: empty))
            }
        }

        // Swift hides fork; a test may look it up.
        private static func forked() -> pid_t {
            typealias Fork = @convention(c) () -> pid_t
            let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "fork")
            return unsafeBitCast(symbol, to: Fork.self)()
        }

        @Test("I16 a child of fork gets errors from calls, and a message from mapped memory")
        func fork() async {
            let result = await #expect(
                processExitsWith: .exitCode(0), observing: [\.standardErrorContent]
            ) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                _ = handle.byte(0)
                let child = Self.forked()
                if child == 0 {
                    do {
                        _ = try handle.bytes(1)
                        _exit(2)
                    } catch VirtMemError.forkedChild {
                        _ = handle.byte(2)  // dies here
                        _exit(3)
                    } catch {
                        _exit(4)
                    }
                }
                var status: Int32 = 0
                waitpid(child, &status, 0)
                guard status & 0x7f == SIGSEGV else { _exit(1) }
                _ = handle.byte(3)  // the parent goes on
                _exit(0)
            }
            #expect(text(result).contains("forked child"))
        }
    }

    /// Changed pages found by comparison, where the page map cannot be read.
    @Suite struct ComparisonTests {
        /// Runs `body` with the page map switched off.
        private func withoutPageMap(_ body: () throws -> Void) throws {
            let map = try Engine.shared().pageMap
            map.isEnabled = false
            defer { map.isEnabled = true }
            try body()
        }

        @Test("changed pages of extents, tails and holes are found exactly")
        func extents() throws {
            try withoutPageMap {
                let file = try DiskFile()
                file.set(0, 5)
                file.set(1, bytes: Array(repeating: 6, count: 4 * page))
                let handle = try FileHandle(file)
                handle.write(9, 0, 3 * page)
                handle.write(5, 0, 4 * page)  // the byte it had
                handle.write(9, 1, 2 * page + 17)
                handle.write(9, 1, 9 * page)  // in the tail
                handle.write(0, 1, 10 * page)  // zero in the tail: no change
                handle.write(9, 2, 15 * page)  // a hole
                try handle.writeout([.store, .markStored])
                #expect(file.changedPages(0) == [3])
                #expect(file.changedPages(1) == [2, 9])
                #expect(file.changedPages(2) == [15])
            }
        }

        @Test("changed pages of frames are found exactly, and after rebase again")
        func framesAndRebase() throws {
            try withoutPageMap {
                let memory = MemoryFile()
                memory.set(0, 8)
                let frames = try FileHandle(memory)
                frames.write(1, 0, 7 * page)
                try frames.writeout([.store, .markStored])
                #expect(memory.changedPages(0) == [7])

                let file = try DiskFile()
                file.set(0, 5)
                let handle = try FileHandle(file)
                handle.write(9, 0, 3 * page)
                try handle.writeout([.store, .markStored])
                file.publish()
                try handle.rebase()
                file.forgetChanges()
                handle.write(9, 0, 4 * page)
                try handle.writeout(.store)
                #expect(file.changedPages(0) == [4])
            }
        }

        @Test("a block marked stored and not rebased counts as changed as a whole")
        func detached() throws {
            try withoutPageMap {
                let file = try DiskFile()
                file.set(0, 5)
                let handle = try FileHandle(file)
                handle.write(9, 0, 3 * page)
                try handle.writeout([.store, .markStored])
                file.forgetChanges()
                handle.write(9, 0, 4 * page)
                try handle.writeout(.store)
                #expect(file.changedPages(0) == Array(0..<16))
            }
        }
    }

    /// One frame for all handles that show the same content.
    @Suite struct SharedFrameTests {
        /// A backend whose blocks are never mapped, and have keys.
        final class KeyedFile: BigFile {
            let blockSize = 16 * 4096
            let description = "keyed file"
            let loads = Counter()
            let domain: UInt64
            let revision: Counter
            /// Runs between the look for a block's place and its load.
            let beforeLoad: @Sendable () -> Void

            init(
                domain: UInt64, revision: Counter = Counter(), beforeLoad: @escaping @Sendable () -> Void = {}
            ) {
                self.domain = domain
                self.revision = revision
                self.beforeLoad = beforeLoad
            }

            private func key(_ blk: Int) -> FrameKey {
                FrameKey(domain: domain, content: UInt64(blk + 1000 * revision.value))
            }

            func loadblk(_ blk: Int, of key: FrameKey, into buffer: UnsafeMutableRawBufferPointer) throws
                -> Bool
            {
                beforeLoad()
                try loadblk(blk, into: buffer)
                return key == self.key(blk)
            }

            func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
                loads.add()
                buffer.initializeMemory(as: UInt8.self, repeating: UInt8(blk + 10 * revision.value))
            }

            func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {}

            func sources(of blks: Range<Int>) throws -> [BlockSource] { blks.map { .loadShared(key($0)) } }
        }

        private var used: Int { get throws { try Engine.shared().pool.usedBytes } }

        @Test("handles at the same revision load a block once and share its frame")
        func shared() throws {
            let file = KeyedFile(domain: 1001)
            let one = try FileHandle(file)
            let two = try FileHandle(file)
            let before = try used
            #expect(one.byte(3) == 3)
            #expect(two.byte(3) == 3)
            #expect(file.loads.value == 1)
            #expect(try used - before == file.blockSize)
            // Private all the same.
            one.write(99, 3, 5)
            #expect(two.byte(3, 5) == 3)
            // The frame lives as long as somebody shows it.
            try one.discard()
            try one.invalidate([3])
            #expect(two.byte(3, 9 * page) == 3)
            #expect(try used - before == file.blockSize)
            try two.invalidate([3])
            #expect(try used == before)
            #expect(one.byte(3) == 3)
            #expect(file.loads.value == 2)
        }

        @Test("another revision is another frame, and so is another store")
        func different() throws {
            let revision = Counter()
            let file = KeyedFile(domain: 1002, revision: revision)
            let old = try FileHandle(file)
            #expect(old.byte(1) == 1)
            revision.add()
            let new = try FileHandle(file)
            #expect(new.byte(1) == 11)
            #expect(old.byte(1, 8 * page) == 1)
            let other = try FileHandle(KeyedFile(domain: 1003))
            #expect(other.byte(1) == 1)
            #expect(file.loads.value == 2)
        }

        @Test("a backend that moves on during a load shares nothing under the old key")
        func movedDuringLoad() throws {
            let revision = Counter()
            let moving = try FileHandle(
                KeyedFile(domain: 1004, revision: revision) { if revision.value == 0 { revision.add() } })
            let staying = try FileHandle(KeyedFile(domain: 1004))
            #expect(moving.byte(1) == 11)
            #expect(staying.byte(1) == 1)
            // Under its own key it is shared.
            let file = KeyedFile(domain: 1004, revision: revision)
            try moving.invalidate([1])
            #expect(moving.byte(1) == 11)
            #expect(try FileHandle(file).byte(1) == 11)
            #expect(file.loads.value == 0)
        }
    }

    /// Blocks that a read fault takes along.
    @Suite struct MapAheadTests {
        private func loadedRuns(_ order: [Int], isJoined: Bool = true) throws -> [Range<Int>] {
            let file = try file(isJoined)
            let handle = try FileHandle(file)
            for block in order { #expect(handle.byte(block) == UInt8(truncatingIfNeeded: block)) }
            return file.lookups
        }

        @Test("in sequence, either way, the groups grow")
        func directions() throws {
            #expect(try loadedRuns(Array(0..<100)) == [0..<16, 16..<48, 48..<112])
            #expect(
                try loadedRuns(Array((80..<200).reversed())) == [192..<208, 160..<192, 96..<160, 0..<96])
        }

        @Test("at random they grow where one mapping shows many blocks, and only there")
        func random() throws {
            #expect(try loadedRuns([5, 100, 40]) == [0..<16, 16..<128])
            #expect(try loadedRuns([5, 100, 40], isJoined: false) == [0..<16, 96..<112, 32..<48])
        }

        /// A file whose blocks are in order, or every second one somewhere else.
        private func file(_ isJoined: Bool, _ count: Int = 200) throws -> DiskFile {
            let file = try DiskFile()
            let order =
                isJoined
                ? Array(0..<count)
                : Array(stride(from: 1, to: count, by: 2)) + Array(stride(from: 0, to: count, by: 2))
            for block in order { file.set(block, UInt8(truncatingIfNeeded: block)) }
            return file
        }

        @Test("what somebody is about to point into is mapped with a few calls, and faults no more")
        func ahead() throws {
            let handle = try FileHandle(try file(true, 700))
            let before = try VirtualMemory.statistics().faults
            handle.mapAhead(0..<700)
            #expect(handle.residentBlocks == 512)
            #expect(kernelMappings(handle.addresses(0..<512)).count <= 5)
            for block in 0..<512 { #expect(handle.byte(block) == UInt8(truncatingIfNeeded: block)) }
            #expect(try VirtualMemory.statistics().faults == before)
            handle.mapAhead(690..<9000)
            #expect(handle.state(699) == .loaded)
            #expect(handle.activeLoads == 0)
        }

        @Test("blocks that take a mapping each, a load, or nothing wait for their fault")
        func notAhead() throws {
            let scattered = try FileHandle(try file(false))
            scattered.mapAhead(0..<200)
            #expect(scattered.residentBlocks == 0)
            #expect(scattered.activeLoads == 0)
            #expect(scattered.byte(3) == 3)
            let loads = try file(true)
            loads.set(7, source: .load)
            let loading = try FileHandle(loads)
            loading.mapAhead(0..<200)
            #expect(loading.residentBlocks == 0)
            #expect(loads.loads == [])
            #expect(loading.byte(8) == 8)
            let empty = try FileHandle(try DiskFile())
            empty.mapAhead(0..<200)
            #expect(empty.residentBlocks == 0)
        }

        @Test("nothing is mapped ahead where it would put out others")
        func noRoom() async {
            await #expect(processExitsWith: .success) {
                let file = try DiskFile()
                for block in 0..<200 { file.set(block, UInt8(block)) }
                let handle = try FileHandle(file)
                handle.engine.locked { $0.areaLimit = 100 }
                handle.mapAhead(0..<200)
                #expect(handle.engine.locked { $0.usedMappings } <= 52)
                let resident = handle.residentBlocks
                handle.mapAhead(0..<200)
                #expect(handle.residentBlocks == resident)
            }
        }
    }
}
