import Foundation
import Synchronization
import Testing

@testable import VirtMem

// Random operations for some seconds. ZBIGDB_STRESS_SECONDS makes it longer,
// ZBIGDB_STRESS_SEED repeats what a failure printed.

func setting(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
}

func stressSeconds() -> Double { Double(setting("ZBIGDB_STRESS_SECONDS") ?? 4) }

func stressSeed(_ name: String) -> UInt64 {
    let seed = setting("ZBIGDB_STRESS_SEED") ?? UInt64.random(in: 0..<(1 << 32))
    print("\(name): ZBIGDB_STRESS_SEED=\(seed)")
    return seed
}

/// Sends what this exit test says to the standard error of the test run: the
/// last words of a process that died.
func speakThroughParent() {
    let descriptor = open("/proc/\(getppid())/fd/2", O_WRONLY | O_APPEND)
    if descriptor >= 0 { dup2(descriptor, 2) }
}

extension EngineTests {
    @Suite struct StressTests {
        @Test("D22 readers against invalidation, eviction and windows: every read is a legal version")
        func versions() async {
            let seed = stressSeed("versions")
            let seconds = stressSeconds()
            await #expect(processExitsWith: .success, "seed \(seed)") {
                [seed = seed as UInt64, seconds = seconds as Double] in
                speakThroughParent()
                startWatchdog(seconds: UInt32(seconds) + 60)
                try VersionStress(seed: seed, seconds: seconds).run()
            }
        }

        @Test(
            "D22 one writer against a model, with readers and eviction beside it", arguments: [false, true])
        func model(extents: Bool) async {
            let seed = stressSeed("model")
            let seconds = stressSeconds()
            await #expect(processExitsWith: .success, "seed \(seed)") {
                [seed = seed as UInt64, seconds = seconds as Double, extents = extents as Bool] in
                speakThroughParent()
                startWatchdog(seconds: UInt32(seconds) + 60)
                let stress = try ModelStress(seed: seed, extents: extents)
                try stress.run(seconds: seconds)
            }
        }
    }
}

/// A file whose blocks say which block and which version they are, in each page.
private final class VersionFile: BigFile {
    static let blocks = 24
    let blockSize = 4 * page
    let description = "version file"
    /// What a load gets.
    let current = (0..<VersionFile.blocks).map { _ in AtomicBox() }
    /// What every handle shows at least, since it was invalidated.
    let floor: [[AtomicBox]]

    final class AtomicBox: Sendable {
        let value = Atomic<UInt64>(1)
    }

    init(handles: Int) {
        floor = (0..<handles).map { _ in (0..<VersionFile.blocks).map { _ in AtomicBox() } }
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        let version = current[blk].value.load(ordering: .sequentiallyConsistent)
        for at in stride(from: 0, to: blockSize, by: page) {
            buffer.storeBytes(of: version << 8 | UInt64(blk), toByteOffset: at, as: UInt64.self)
        }
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {}
}

private struct VersionStress {
    let seed: UInt64
    let seconds: Double

    func run() throws {
        let file = VersionFile(handles: 2)
        let handles = try (0..<2).map { _ in try FileHandle(file) }
        let engine = handles[0].engine
        engine.pool.budget = 20 * file.blockSize
        let end = Date(timeIntervalSinceNow: seconds)
        let reads = Atomic<Int>(0)
        var workers: [Worker] = []

        for index in 0..<4 {
            let which = index % 2
            workers.append(
                Worker {
                    var random = SeededGenerator(state: seed &+ UInt64(index))
                    while Date() < end {
                        let blk = Int.random(in: 0..<VersionFile.blocks, using: &random)
                        let at = Int.random(in: 0..<4, using: &random) * page
                        let lowest = file.floor[which][blk].value.load(ordering: .sequentiallyConsistent)
                        let offset = blk * file.blockSize + at
                        var value: UInt64 = 0
                        if Bool.random(using: &random) {
                            value = handles[which].baseAddress.load(fromByteOffset: offset, as: UInt64.self)
                        } else {
                            let read = try? handles[which].withUnsafeBytes(of: offset..<(offset + 8)) {
                                $0.load(as: UInt64.self)
                            }
                            guard let read else { continue }  // no frame free at the moment
                            value = read
                        }
                        let highest = file.current[blk].value.load(ordering: .sequentiallyConsistent)
                        reads.add(1, ordering: .relaxed)
                        if value & 0xff != UInt64(blk) || value >> 8 < lowest || value >> 8 > highest {
                            Issue.record(
                                "block \(blk): read \(value & 0xff), version \(value >> 8), legal \(lowest)...\(highest)"
                            )
                            return
                        }
                    }
                })
        }
        workers.append(
            Worker {
                var random = SeededGenerator(state: seed &+ 100)
                while Date() < end {
                    let blk = Int.random(in: 0..<VersionFile.blocks, using: &random)
                    let version = file.current[blk].value.add(1, ordering: .sequentiallyConsistent).newValue
                    for (which, handle) in handles.enumerated() {
                        #expect(throws: Never.self) { try handle.invalidate([blk]) }
                        file.floor[which][blk].value.store(version, ordering: .sequentiallyConsistent)
                    }
                }
            })
        workers.append(
            Worker {
                var random = SeededGenerator(state: seed &+ 200)
                while Date() < end {
                    _ = try? handles[0].reclaim(Int.random(in: 0..<8, using: &random))
                    let blk = Int.random(in: 0..<VersionFile.blocks, using: &random)
                    if let window = try? handles[1].window(blk..<(blk + 1)) {
                        let value = window.baseAddress.load(as: UInt64.self)
                        if value & 0xff != UInt64(blk) { Issue.record("window on \(blk) reads \(value)") }
                    }
                }
            })
        for worker in workers { #expect(worker.join(seconds: Int(seconds) + 40)) }
        #expect(reads.load(ordering: .relaxed) > 1000)
        for handle in handles { try handle.close() }
        #expect(engine.pool.usedBytes == 0)
        #expect(engine.locked { $0.areas } == 0)
        #expect(engine.locked { $0.recency.count } == 0)
    }
}

/// What ``ModelStress`` needs of a backend.
private protocol StressFile: BigFile {
    func set(_ blk: Int, bytes: [UInt8])
    func publish()
    func changedPages(_ blk: Int) -> [Int]?
    func forgetChanges()
}

extension DiskFile: StressFile {}
extension MemoryFile: StressFile {
    func publish() {}
    func forgetChanges() { forgetCalls() }
}

/// One thread changes a handle and a model of it in step; others only disturb.
private final class ModelStress {
    let blocks = 10
    let pages = 4
    let file: any StressFile
    let isExact: Bool
    let handle: FileHandle
    var random: SeededGenerator
    var clean: [[UInt8]]
    var now: [[UInt8]]
    var touched: [Set<Int>]

    init(seed: UInt64, extents: Bool) throws {
        isExact = extents
        file = extents ? try DiskFile(blockSize: pages * page) : MemoryFile(blockSize: pages * page)
        random = SeededGenerator(state: seed)
        clean = Array(repeating: Array(repeating: 0, count: pages * page), count: blocks)
        now = clean
        touched = Array(repeating: [], count: blocks)
        handle = try FileHandle(file)
    }

    func run(seconds: Double) throws {
        let isStopped = Atomic<Bool>(false)
        let handle = handle
        let count = blocks
        let disturber = Worker { [seed = random.state] in
            var random = SeededGenerator(state: seed &+ 1)
            while !isStopped.load(ordering: .relaxed) {
                if Bool.random(using: &random) {
                    _ = try? handle.reclaim(Int.random(in: 0..<4, using: &random))
                }
                _ = handle.byte(
                    Int.random(in: 0..<count, using: &random), Int.random(in: 0..<page, using: &random))
                _ = try? handle.bytes(Int.random(in: 0..<count, using: &random))
            }
        }
        let end = Date(timeIntervalSinceNow: seconds)
        var steps = 0
        while Date() < end {
            try step()
            steps += 1
        }
        isStopped.store(true, ordering: .relaxed)
        #expect(disturber.join())
        #expect(steps > 100)
        for blk in 0..<blocks { #expect(try handle.bytes(blk) == now[blk]) }
        try handle.close()
        #expect(handle.engine.pool.usedBytes == 0)
        #expect(handle.engine.locked { $0.areas } == 0)
    }

    private var dirty: [Int] { (0..<blocks).filter { !touched[$0].isEmpty } }

    private func step() throws {
        let blk = Int.random(in: 0..<blocks, using: &random)
        let offset = Int.random(in: 0..<(pages * page), using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30:
            let value = UInt8.random(in: 0...255, using: &random)
            if Bool.random(using: &random) {
                handle.write(value, blk, offset)
            } else {
                try handle.writeScoped(value, blk, offset)
            }
            now[blk][offset] = value
            touched[blk].insert(offset / page)
        case 30..<60:
            #expect(handle.byte(blk, offset) == now[blk][offset])
        case 60..<75:
            #expect(try handle.bytes(blk) == now[blk])
        case 75..<80:
            try handle.discard()
            now = clean
            touched = Array(repeating: [], count: blocks)
        case 80..<90:
            try commit()
        default:
            // Somebody else committed new content of a block.
            let content = (0..<Int.random(in: 0...pages, using: &random)).flatMap { at in
                Array(repeating: UInt8(truncatingIfNeeded: offset + at), count: page)
            }
            clean[blk] = content + Array(repeating: 0, count: pages * page - content.count)
            now[blk] = clean[blk]
            touched[blk] = []
            file.set(blk, bytes: content)
            try handle.invalidate([blk])
        }
        #expect(handle.dirtyBlocks == dirty)
    }

    private func commit() throws {
        file.forgetChanges()
        if Bool.random(using: &random) {
            try handle.writeout([.store, .markStored])
        } else {
            try handle.writeout(.store)
            try handle.writeout(.markStored)
        }
        for blk in dirty {
            let changed = Set(file.changedPages(blk) ?? [])
            if isExact {
                #expect(changed == touched[blk])
            } else {
                #expect(changed.isSuperset(of: touched[blk]))
            }
        }
        clean = now
        touched = Array(repeating: [], count: blocks)
        file.publish()
        try handle.rebase()
    }
}
