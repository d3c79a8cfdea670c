import Foundation
import Synchronization
import Testing

@testable import VirtMem

/// Blocks of one page, whose places in the file are so that no two neighbours
/// share a kernel mapping. Each begins with its number.
private final class ScatteredFile: BigFile {
    let blockSize = page
    let description = "scattered file"
    let count: Int
    private let descriptor: Int32
    private struct State {
        /// Where each block is in the file, in blocks.
        var places: [Int]
        var end: Int
        var stored: [Int: Int] = [:]
    }
    private let state: Mutex<State>

    init(count: Int) throws {
        self.count = count
        descriptor = try DiskFile.makeUnnamed()
        guard ftruncate(descriptor, off_t(4 * count * page)) == 0 else {
            throw MemoryFile.Failure(description: "cannot make a temporary file")
        }
        // Backwards: the next block is never the next in the file.
        state = Mutex(State(places: (0..<count).map { count - 1 - $0 }, end: count))
        for blk in 0..<count { put(UInt64(blk), count - 1 - blk) }
    }

    deinit { close(descriptor) }

    private func put(_ value: UInt64, _ place: Int) {
        var value = value
        let written = pwrite(descriptor, &value, 8, off_t(place * page))
        precondition(written == 8, "writing to the temporary file failed")
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        throw MemoryFile.Failure(description: "a block that has an extent was loaded")
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        let place = state.withLock { state in
            state.end += 2  // a gap: not the next in the file
            state.stored[blk] = state.end
            return state.end
        }
        put(bytes.load(as: UInt64.self), place)
    }

    /// What was stored becomes the content.
    func publish() {
        state.withLock { state in
            for (blk, place) in state.stored { state.places[blk] = place }
            state.stored = [:]
        }
    }

    func sources(of blks: Range<Int>) throws -> [BlockSource] {
        state.withLock { state in
            blks.map { blk in
                if blk >= count { return .hole }
                return .extents([
                    FileExtent(
                        descriptor: descriptor, fileOffset: state.places[blk] * page, length: page)
                ])
            }
        }
    }
}

/// How many kernel mappings the process may have.
private func systemLimit() throws -> Int {
    let text = try String(contentsOfFile: "/proc/sys/vm/max_map_count", encoding: .utf8)
    return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
}

@inline(never) @_optimize(none)
private func number(_ handle: VirtMem.FileHandle, _ block: Int) -> UInt64 {
    handle.baseAddress.load(fromByteOffset: block * page, as: UInt64.self)
}

@inline(never) @_optimize(none)
private func setNumber(_ handle: VirtMem.FileHandle, _ block: Int, _ value: UInt64) {
    handle.baseAddress.storeBytes(of: value, toByteOffset: block * page, as: UInt64.self)
}

extension EngineTests {
    /// Arrays of more blocks than the kernel allows mappings.
    @Suite struct ManyMappingsTests {
        @Test("J9 more blocks than the system has mappings: read forwards, backwards, at random")
        func reading() async throws {
            let limit = try systemLimit()
            await #expect(processExitsWith: .success) { [limit = limit as Int] in
                startWatchdog(seconds: 120)
                // A system set up for very many mappings: as many as the test can afford.
                let count = min(limit / 4 * 5, 100_000)
                let file = try ScatteredFile(count: count)
                let handle = try FileHandle(file)
                if limit > 100_000 { handle.engine.locked { $0.areaLimit = 49_000 } }
                let budget = handle.engine.locked { $0.areaLimit }
                let others = countMappings()
                var most = 0
                func look(_ block: Int, _ step: Int) {
                    let found = number(handle, block)
                    if found != UInt64(block) { Issue.record("block \(block) reads \(found)") }
                    if step % 9001 == 0 { most = max(most, countMappings()) }
                }
                for block in 0..<count { look(block, block) }
                for block in (0..<count).reversed() { look(block, block) }
                var random = SeededGenerator(state: 5)
                for step in 0..<40_000 { look(Int.random(in: 0..<count, using: &random), step) }
                most = max(most, countMappings())
                // Not just below the system's limit: the rest of the process needs some, too.
                #expect(most <= budget + others + mappingsBeside)
                #expect(most > budget / 2)
                try handle.close()
                #expect(countMappings() < others + 100)
                #expect(handle.engine.locked { $0.usedMappings } == 0)
            }
        }

        @Test("J9 more changed blocks than mappings: an error to recover from, nothing is lost")
        func writing() async throws {
            let limit = try systemLimit()
            await #expect(processExitsWith: .success) { [limit = limit as Int] in
                startWatchdog(seconds: 120)
                let count = min(limit / 4 * 5, 90_000)
                let file = try ScatteredFile(count: count)
                let handle = try FileHandle(file)
                if limit > 100_000 {
                    handle.engine.locked { $0.areaLimit = 40_000 }
                    handle.engine.locked { $0.mappingCap = 55_000 }
                }
                let cap = handle.engine.locked { $0.mappingCap }
                let others = countMappings()
                var refused = 0
                let inPlace = Atomic<Int>(0)
                func commit() throws {
                    try handle.writeout([.store, .markStored])
                    file.publish()
                    try handle.rebase()
                }
                // Every second block, so that each takes two mappings: its own and the gap.
                for block in stride(from: 0, to: count, by: 2) {
                    let at = block * page
                    func change() throws {
                        try handle.withUnsafeMutableBytes(of: at..<(at + 8)) {
                            $0.storeBytes(of: UInt64(block) + 7, as: UInt64.self)
                        }
                    }
                    do {
                        try change()
                    } catch VirtMemError.outOfMemory {
                        refused += 1
                        #expect(countMappings() <= cap + others + 100)
                        // The engine still works: a change of what is there, a thread of ours.
                        let before = handle.dirtyBlocks.count
                        setNumber(handle, 0, 7)
                        let thread = Worker {
                            if number(handle, 0) == 7 { inPlace.add(1, ordering: .relaxed) }
                        }
                        #expect(thread.join())
                        #expect(handle.dirtyBlocks.count == before)
                        try commit()
                        try change()
                    }
                }
                #expect(refused > 0)
                #expect(inPlace.load(ordering: .relaxed) == refused)
                try commit()
                #expect(!handle.isDirty)
                var wrong = 0
                for block in 0..<count {
                    let expected = UInt64(block) + (block % 2 == 0 ? 7 : 0)
                    if number(handle, block) != expected { wrong += 1 }
                }
                #expect(wrong == 0)
                try handle.close()
                #expect(handle.engine.locked { $0.usedMappings } == 0)
            }
        }

        @Test("discarding and invalidating every second of very many blocks")
        func dropping() async throws {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 120)
                let count = 8000
                let file = try ScatteredFile(count: count)
                let handle = try FileHandle(file)
                handle.engine.locked { state in
                    state.areaLimit = 3000
                    state.mappingCap = 4000
                }
                func changeUntilRefused() throws -> [Int] {
                    for block in stride(from: 1, to: count, by: 2) {
                        do { try handle.writeScoped(9, block, 100) } catch VirtMemError.outOfMemory {
                            return handle.dirtyBlocks
                        }
                    }
                    return []
                }
                let first = try changeUntilRefused()
                #expect(first.count > 1000)
                try handle.discard()
                let second = try changeUntilRefused()
                #expect(second.count > 1000)
                try handle.invalidate(second)
                #expect(handle.engine.locked { $0.usedMappings } < 3000)
                for block in 0..<count { #expect(number(handle, block) == UInt64(block)) }
                for block in stride(from: 1, to: count, by: 2) { #expect(handle.byte(block, 100) == 0) }
            }
        }

        @Test(
            "J9 reading in sequence past the limit takes few faults, forwards, backwards, of several readers")
        func faultsInSequence() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 120)
                let count = 20_000
                let handle = try FileHandle(try ScatteredFile(count: count))
                handle.engine.locked { $0.areaLimit = 3000 }
                func faults(_ blocks: [Int]) throws -> Int {
                    let before = try VirtualMemory.statistics().faults
                    for block in blocks where number(handle, block) != UInt64(block) {
                        Issue.record("block \(block) reads wrong")
                    }
                    #expect(handle.engine.locked { $0.usedMappings } <= 3000)
                    return try VirtualMemory.statistics().faults - before
                }
                #expect(try faults(Array(0..<count)) < count / 16)
                #expect(try faults((0..<count).reversed()) < count / 16)
                #expect(try faults(Array(0..<count)) < count / 16)
                let part = count / 4
                let alternately = (0..<part).flatMap { at in (0..<4).map { $0 * part + at } }
                #expect(try faults(alternately) < count / 16)
                // At random, nothing is evicted for blocks that nobody asked for.
                let before = try VirtualMemory.statistics()
                var random = SeededGenerator(state: 6)
                let read = try faults((0..<2000).map { _ in Int.random(in: 0..<count, using: &random) })
                let loaded = try VirtualMemory.statistics().loadedBlocks - before.loadedBlocks
                #expect(loaded < read * 3 / 2)
            }
        }

        @Test("where changed blocks leave little room, reading takes no others along, and does not fail")
        func readingBesideChanges() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 120)
                let count = 4000
                let handle = try FileHandle(try ScatteredFile(count: count))
                handle.engine.locked { state in
                    state.areaLimit = 1200
                    state.mappingCap = 1200
                }
                for block in stride(from: 1, to: count, by: 2) {
                    do { try handle.writeScoped(9, block, 100) } catch VirtMemError.outOfMemory { break }
                }
                let dirty = handle.dirtyBlocks
                #expect(dirty.count > 500)
                // A little room for reading.
                try handle.invalidate(dirty.suffix(4))
                for block in 0..<count { #expect(number(handle, block) == UInt64(block)) }
                for block in (0..<count).reversed() { #expect(number(handle, block) == UInt64(block)) }
                #expect(handle.dirtyBlocks.count == dirty.count - 4)
                #expect(handle.engine.locked { $0.usedMappings } <= 1200)
            }
        }
    }
}
