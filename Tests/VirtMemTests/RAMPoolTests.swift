import Foundation
import Synchronization
import Testing

@testable import VirtMem

/// Bytes of memory that a file in RAM takes.
private func reservedBytes(_ descriptor: Int32) -> Int {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : -1
}

@Suite struct RAMPoolTests {
    let size = 2 << 20

    @Test("B3 B4 a new frame is zeros, reserved in full, and nobody else's")
    func fresh() throws {
        let pool = try RAMPool()
        let frames = try (0..<4).map { _ in try pool.allocate(size) }
        #expect(Set(frames.map(\.offset)).count == 4)
        #expect(pool.usedBytes == 4 * size)
        #expect(reservedBytes(pool.descriptor) == 4 * size)
        for frame in frames {
            try pool.withBytes(of: frame) { bytes in
                #expect(bytes.count == size)
                #expect(bytes.allSatisfy { $0 == 0 })
                bytes.initializeMemory(as: UInt8.self, repeating: 1)
            }
        }
    }

    @Test("B5 two mappings of one frame alias")
    func alias() throws {
        let pool = try RAMPool()
        let frame = try pool.allocate(size)
        try pool.withBytes(of: frame) { one in
            try pool.withBytes(of: frame) { two in
                #expect(one.baseAddress != two.baseAddress)
                one[5] = 1
                #expect(two[5] == 1)
                two[size - 1] = 2
                #expect(one[size - 1] == 2)
            }
        }
    }

    @Test("B12 a frame used again is zeros and reserved in full again, kept or given back in between")
    func reuse() throws {
        let pool = try RAMPool()
        // More than the pool keeps ready, so that some are really given back.
        let frames = try (0..<40).map { _ in try pool.allocate(size) }
        for frame in frames {
            try pool.withBytes(of: frame) { _ = $0.initializeMemory(as: UInt8.self, repeating: 9) }
        }
        #expect(reservedBytes(pool.descriptor) == 40 * size)
        for frame in frames { pool.release(frame) }
        #expect(pool.usedBytes == 0)
        #expect(reservedBytes(pool.descriptor) < 40 * size)
        let again = try (0..<40).map { _ in try pool.allocate(size) }
        #expect(Set(again.map(\.offset)) == Set(frames.map(\.offset)))
        #expect(reservedBytes(pool.descriptor) == 40 * size)
        for frame in again {
            try pool.withBytes(of: frame) { #expect($0[0] == 0 && $0[size / 2] == 0 && $0[size - 1] == 0) }
        }
    }

    @Test("frames of several sizes do not overlap")
    func sizes() throws {
        let pool = try RAMPool()
        var random = SeededGenerator(state: 5)
        var live: [RAMPool.Frame] = []
        for _ in 0..<500 {
            if live.count > 20 || (!live.isEmpty && Bool.random(using: &random)) {
                pool.release(live.remove(at: Int.random(in: 0..<live.count, using: &random)))
            } else {
                live.append(try pool.allocate([1, 2, 16, 512].randomElement(using: &random)! * page))
            }
            let sorted = live.sorted { $0.offset < $1.offset }
            for (one, two) in zip(sorted, sorted.dropFirst()) { #expect(one.offset + one.size <= two.offset) }
            #expect(pool.usedBytes == live.map(\.size).reduce(0, +))
        }
    }
}

extension EngineTests {
    /// Limits of memory and mappings; each test sets its own, in its own process.
    @Suite struct BudgetTests {
        @Test("B6 a loaded block lies at its own address, over what was mapped there")
        func place() throws {
            let handle = try FileHandle(MemoryFile(onLoad: { _ in }))
            handle.write(1, 3)
            let mapping = try #require(handle.mappings(3).first)
            #expect(mapping.addresses == handle.addresses(3..<4))
            #expect(mapping.path.contains("virtmem-frames"))
        }

        @Test(
            "B16 three frames: the clean one goes, dirty ones stay; B22 all dirty is an error to recover from"
        )
        func frames() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile()
                for block in 0..<9 { file.set(block, UInt8(block + 1)) }
                let handle = try FileHandle(file)
                handle.engine.pool.budget = 3 * file.blockSize
                handle.write(51, 0)
                handle.write(52, 1)
                _ = handle.byte(2)
                #expect(try handle.bytes(3)[0] == 4)
                #expect(handle.state(2) == nil)
                #expect(handle.dirtyBlocks == [0, 1])
                #expect(handle.byte(0) == 51)
                #expect(handle.byte(1) == 52)

                handle.write(53, 3)
                #expect {
                    try handle.bytes(4)
                } throws: { error in
                    guard case VirtMemError.outOfMemory = error else { return false }
                    return true
                }
                #expect(handle.dirtyBlocks == [0, 1, 3])
                try handle.writeout([.store, .markStored])
                try handle.rebase()
                #expect(try handle.bytes(4)[0] == 5)
                #expect((0..<4).map { handle.byte($0) } == [51, 52, 3, 53])
            }
        }

        @Test("frames that other threads are filling fail nobody, and the budget is reached again")
        func framesOnTheirWay() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                let pool = handle.engine.pool
                pool.budget = 2 * file.blockSize
                let gate = Gate()
                let loading = [Gate(), Gate()]
                file.onLoad { block in
                    if block >= 2 { return }
                    loading[block].open()
                    gate.wait()
                }
                let readers = (0..<2).map { block in Worker { _ = handle.byte(block) } }
                for door in loading { #expect(door.wait()) }
                // Both frames are taken, and neither is in a block that could be evicted.
                #expect(try handle.bytes(2)[0] == 0)
                #expect(handle.byte(3) == 0)
                gate.open()
                for reader in readers { #expect(reader.join()) }
                _ = try handle.bytes(4)
                #expect(pool.usedBytes == 2 * file.blockSize)
                // What one access itself fills does not count as on its way.
                #expect {
                    try handle.withUnsafeBytes(of: 0..<(5 * file.blockSize)) { _ in }
                } throws: { error in
                    guard case VirtMemError.outOfMemory = error else { return false }
                    return true
                }
                #expect(pool.bytesOnTheirWay.load(ordering: .relaxed) == 0)
            }
        }

        @Test("a budget that was lowered is reached again")
        func loweredBudget() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile()
                let handle = try FileHandle(file)
                for block in 0..<20 { _ = handle.byte(block) }
                let pool = handle.engine.pool
                #expect(pool.usedBytes == 20 * file.blockSize)
                pool.budget = 5 * file.blockSize
                _ = try handle.bytes(20)
                #expect(pool.usedBytes == 5 * file.blockSize)
                #expect(handle.evictable == [16, 17, 18, 19, 20])
            }
        }

        @Test("B17 reclaim counts what it drops, 0 when there is nothing; B20 B23 memory is given back")
        func reclaimCounts() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile(blockSize: 2 << 20)
                let handle = try FileHandle(file)
                let pool = handle.engine.pool
                #expect(try handle.reclaim() == 0)
                for block in 0..<100 { _ = handle.byte(block) }
                handle.write(1, 7)
                #expect(reservedBytes(pool.descriptor) == 100 * file.blockSize)
                #expect(try handle.reclaim() == 64)
                #expect(try handle.reclaim() == 35)
                #expect(try handle.reclaim() == 0)
                #expect(pool.usedBytes == file.blockSize)
                #expect(reservedBytes(pool.descriptor) < 40 * file.blockSize)
                try handle.close()
                #expect(pool.usedBytes == 0)
                #expect(handle.engine.locked { $0.areas } == 0)
            }
        }

        @Test("B10 no space for a frame: an error at the load, and the frames in hand can be written in full")
        func noSpace() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let file = MemoryFile(blockSize: 2 << 20)
                let handle = try FileHandle(file)
                signal(SIGXFSZ, SIG_IGN)
                var limit = rlimit()
                getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                limit.rlim_cur = 7 << 20
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                for block in 0..<3 { try handle.writeScoped(1, block) }
                #expect {
                    try handle.writeScoped(1, 3)
                } throws: { error in
                    guard case VirtMemError.outOfMemory = error else { return false }
                    return true
                }
                for block in 0..<3 {
                    for at in 0..<512 { handle.write(2, block, at * page) }
                }
                #expect(handle.dirtyBlocks == [0, 1, 2])
                try handle.invalidate([1])
                try handle.writeScoped(3, 3)
                #expect(handle.byte(3) == 3)
                #expect(handle.byte(0, page) == 2)
            }
        }

        @Test("the mapping budget: least recently used clean blocks go, dirty ones stay", arguments: [8, 33])
        func areas(limit: Int) async {
            await #expect(processExitsWith: .success) { [limit = limit as Int] in
                startWatchdog()
                let file = try DiskFile()
                for block in 0..<200 { file.set(block, UInt8(block)) }
                let handle = try FileHandle(file)
                handle.engine.locked { $0.areaLimit = limit }
                for block in 0..<4 { handle.write(255, block) }
                var random = SeededGenerator(state: 3)
                for _ in 0..<2000 {
                    let block = Int.random(in: 4..<200, using: &random)
                    #expect(handle.byte(block, 5) == UInt8(block))
                    #expect(handle.engine.locked { $0.areas } <= limit)
                    #expect(handle.residentBlocks <= limit)
                }
                #expect(handle.dirtyBlocks == [0, 1, 2, 3])
                for block in 0..<4 { #expect(handle.byte(block) == 255) }
                // A larger scoped access than the budget is served all the same.
                let sum = try handle.withUnsafeBytes(of: 0..<(200 * file.blockSize)) { bytes in
                    (0..<200).reduce(0) { $0 + Int(bytes[$1 * file.blockSize + 9]) }
                }
                #expect(sum == (0..<200).reduce(0, +))
                _ = handle.byte(7)
                try handle.invalidateAll()
                #expect(handle.engine.locked { $0.areas } == 0)
            }
        }

        @Test("holes of all handles read one file of zeros, no larger than the largest block")
        func holes() async {
            await #expect(processExitsWith: .success) {
                startWatchdog()
                let sizes = [page, 16 * page, 64 * page]
                let handles = try sizes.map { try FileHandle(try DiskFile(blockSize: $0)) }
                for handle in handles {
                    for block in 0..<40 { #expect(try handle.bytes(block).allSatisfy { $0 == 0 }) }
                    #expect(handle.mappings(7).allSatisfy { $0.path.contains("virtmem-zero") })
                }
                let zero = handles[0].engine.locked { $0.zeroDescriptor }
                #expect(reservedBytes(zero) <= 64 * page)
                #expect(handles[0].engine.pool.usedBytes == 0)
            }
        }

        @Test(
            "at the kernel's limit of mappings: an error or an eviction, and nothing is lost",
            withoutSanitizer)
        func kernelLimit() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 60)
                let file = try DiskFile()
                // In this order no two neighbours share a kernel mapping.
                for block in (0..<400).reversed() { file.set(block, UInt8(truncatingIfNeeded: block)) }
                let handle = try FileHandle(file)
                handle.write(255, 1)
                for block in stride(from: 3, to: 203, by: 2) { _ = handle.byte(block) }

                // Uses up the mappings of the process.
                let length = 70_000 * page
                let fillers = mmap(nil, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
                var used = 0
                while used + 1 < 70_000 {
                    guard mprotect(fillers + used * page, page, PROT_READ) == 0 else { break }
                    used += 2
                }
                #expect(used < 69_000)

                // Evicting the clean blocks makes room for others.
                for block in stride(from: 303, to: 383, by: 2) {
                    #expect(try handle.bytes(block)[0] == UInt8(block & 255))
                }
                for block in stride(from: 303, to: 383, by: 2) { handle.write(1, block) }
                // With only dirty ones there is none to make; more is refused cleanly.
                var failed: Int?
                for block in stride(from: 203, to: 299, by: 2) {
                    do { try handle.writeScoped(2, block) } catch VirtMemError.outOfMemory {
                        failed = block
                        break
                    }
                }
                munmap(fillers, length)
                if let failed {
                    #expect(try handle.bytes(failed)[0] == UInt8(failed & 255))
                    try handle.writeScoped(2, failed)
                }
                #expect(handle.byte(1) == 255)
                for block in stride(from: 303, to: 383, by: 2) { #expect(handle.byte(block) == 1) }
                for block in 203..<299 where handle.state(block) == .dirty {
                    #expect(handle.byte(block) == 2)
                }
                #expect(handle.activeLoads == 0)
                try handle.discard()
                for block in 0..<400 { #expect(try handle.bytes(block)[9] == UInt8(block & 255)) }
                #expect(handle.engine.locked { $0.areas } == 400)
                try handle.close()
                #expect(handle.engine.locked { $0.areas } == 0)
            }
        }
    }
}
