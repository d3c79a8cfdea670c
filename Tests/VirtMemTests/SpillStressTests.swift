import Foundation
import Synchronization
import Testing

@testable import VirtMem

extension EngineTests {
    /// Random operations on handles that share a small budget; see StressTests for the settings.
    @Suite struct SpillStressTests {
        @Test("one writer against a model, whose changes are spilled all the time", arguments: [0, 1, 2])
        func model(kind: Int) async {
            let seed = stressSeed("spill model")
            let seconds = stressSeconds() / 3
            await #expect(processExitsWith: .success, "seed \(seed)") {
                [seed = seed as UInt64, seconds = seconds as Double, kind = kind as Int] in
                speakThroughParent()
                startWatchdog(seconds: UInt32(seconds) + 60)
                let budget = DirtyBudget(bytes: 8 * 4 * page)
                let model = try SpillModel(
                    seed: seed, kind: SpillFile.Kind.allCases[kind], budget: budget, blocks: 24)
                try model.run(seconds: seconds, spillsFail: true)
                try model.finish()
                #expect(budget.spilledBlocks > 100)
                #expect(model.handle.engine.pool.usedBytes == 0)
                #expect(model.handle.engine.locked { $0.areas } == 0)
                #expect(model.handle.engine.locked { $0.dirtyBytes } == 0)
                #expect(budget.usedBytes == 0)
            }
        }

        @Test("several threads with handles of their own and one budget, each against its model")
        func threads() async {
            let seed = stressSeed("spill threads")
            let seconds = stressSeconds() / 2
            await #expect(processExitsWith: .success, "seed \(seed)") {
                [seed = seed as UInt64, seconds = seconds as Double] in
                speakThroughParent()
                startWatchdog(seconds: UInt32(seconds) + 60)
                let budget = DirtyBudget(bytes: 12 * 4 * page)
                let workers = (0..<5).map { index in
                    Worker {
                        do {
                            let model = try SpillModel(
                                seed: seed &+ UInt64(index), kind: SpillFile.Kind.allCases[index % 3],
                                budget: budget, blocks: 16)
                            try model.run(seconds: seconds, spillsFail: false)
                            try model.finish()
                        } catch {
                            Issue.record("thread \(index): \(error)")
                        }
                    }
                }
                for worker in workers { #expect(worker.join(seconds: Int(seconds) + 40)) }
                #expect(budget.spilledBlocks > 100)
                #expect(budget.usedBytes == 0)
            }
        }

        @Test("several threads write to one handle, each to pages of its own, with readers beside")
        func sharedHandle() async {
            let seed = stressSeed("spill shared handle")
            let seconds = stressSeconds() / 2
            await #expect(processExitsWith: .success, "seed \(seed)") {
                [seed = seed as UInt64, seconds = seconds as Double] in
                speakThroughParent()
                startWatchdog(seconds: UInt32(seconds) + 60)
                try SharedHandleStress(seed: seed, seconds: seconds).run()
            }
        }
    }
}

/// One thread changes a handle and a model of it in step.
private final class SpillModel {
    let blocks: Int
    let pages = 4
    let file: SpillFile
    let handle: FileHandle
    private var random: SeededGenerator
    private var clean: [[UInt8]]
    private var now: [[UInt8]]
    private let isBroken = Flag(false)

    init(seed: UInt64, kind: SpillFile.Kind, budget: DirtyBudget, blocks: Int) throws {
        self.blocks = blocks
        file = try SpillFile(pages: pages, kind: kind)
        handle = try FileHandle(file, dirtyBudget: budget)
        random = SeededGenerator(state: seed)
        clean = Array(repeating: Array(repeating: 0, count: pages * page), count: blocks)
        now = clean
        file.onSpill { [isBroken] _ in
            if isBroken.get() { throw MemoryFile.Failure(description: "broken") }
        }
    }

    func run(seconds: Double, spillsFail: Bool) throws {
        let end = Date(timeIntervalSinceNow: seconds)
        var steps = 0
        // However slow the machine is, so many that there is something to spill.
        while steps < 1000 || Date() < end {
            try step(spillsFail: spillsFail)
            steps += 1
        }
    }

    func finish() throws {
        for blk in 0..<blocks { expectSame(try handle.bytes(blk), blk, "in the end") }
        if file.complaints != [] { complain("\(file.complaints)") }
        try handle.close()
    }

    private func expectSame(_ bytes: [UInt8], _ blk: Int, _ place: String) {
        if bytes == now[blk] { return }
        let at = zip(bytes, now[blk]).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
        complain("\(place): block \(blk), byte \(at) is \(bytes[at]), not \(now[blk][at])")
    }

    /// Also to standard error: what an exit test expected does not reach the test run.
    private func complain(_ text: String) {
        Foundation.FileHandle.standardError.write(Data("\(file.kind): \(text)\n".utf8))
        Issue.record("\(file.kind): \(text)")
    }

    private func step(spillsFail: Bool) throws {
        let blk = Int.random(in: 0..<blocks, using: &random)
        let offset = Int.random(in: 0..<(pages * page), using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<25: change(blk, offset)
        case 25..<35:
            try changeLong(blk, offset, isBroken: spillsFail && Int.random(in: 0..<4, using: &random) == 0)
        case 35..<60: #expect(handle.byte(blk, offset) == now[blk][offset])
        case 60..<75: expectSame(try handle.bytes(blk), blk, "read")
        case 75..<79: try handle.spillAll()
        case 79..<83: try handle.reclaim(Int.random(in: 0..<8, using: &random))
        case 83..<87: try abort()
        case 87..<94: try commit()
        default:
            // Somebody else committed new content of a block. Our change goes first, or
            // another thread could spill it on top of that.
            try handle.invalidate([blk])
            clean[blk] = [UInt8](repeating: UInt8(truncatingIfNeeded: offset), count: pages * page)
            now[blk] = clean[blk]
            file.set(blk, bytes: clean[blk])
            try handle.invalidate([blk])
        }
    }

    private func change(_ blk: Int, _ offset: Int) {
        let value = UInt8.random(in: 0...255, using: &random)
        handle.write(value, blk, offset)
        now[blk][offset] = value
    }

    /// Several blocks at a time, through scoped access; spills may fail meanwhile.
    private func changeLong(_ blk: Int, _ offset: Int, isBroken broken: Bool) throws {
        let size = pages * page
        let start = Bool.random(using: &random) ? blk * size : blk * size + offset
        let end = min(blocks * size, start + Int.random(in: 1...(4 * size), using: &random))
        let value = UInt8.random(in: 0...255, using: &random)
        isBroken.set(broken)
        defer { isBroken.set(false) }
        do {
            try handle.withUnsafeMutableBytes(of: start..<end) { bytes in
                _ = bytes.initializeMemory(as: UInt8.self, repeating: value)
            }
        } catch VirtMemError.spillFailed where broken {
            return
        }
        for at in start..<end { now[at / size][at % size] = value }
    }

    private func abort() throws {
        try handle.discard()
        try handle.invalidate(file.forgetSpilled())
        now = clean
    }

    private func commit() throws {
        if Bool.random(using: &random) {
            try handle.writeout([.store, .markStored])
        } else {
            try handle.writeout(.store)
            try handle.writeout(.markStored)
        }
        file.publish()
        if Bool.random(using: &random) { try handle.rebase() }
        clean = now
        for blk in 0..<blocks { expectSame(file.committed(blk), blk, "committed") }
    }
}

/// Threads that change one handle. Each word says who wrote it and how often.
private struct SharedHandleStress {
    private static let threads = 4
    private static let blocks = 64
    private static let pages = 4
    let seed: UInt64
    let seconds: Double

    func run() throws {
        let file = try SpillFile(pages: Self.pages)
        let budget = DirtyBudget(bytes: 12 * file.blockSize)
        let handle = try FileHandle(file, dirtyBudget: budget)
        let end = Date(timeIntervalSinceNow: seconds)
        let writers = (0..<Self.threads).map { index in
            Worker { [seed] in
                var random = SeededGenerator(state: seed &+ UInt64(index))
                var model = [UInt64](repeating: 0, count: Self.blocks)
                var count: UInt64 = 0
                while Date() < end {
                    // A page of each block is this thread's.
                    let blk = Int.random(in: 0..<Self.blocks, using: &random)
                    let at = blk * handle.blockSize + index * page + 8
                    if Bool.random(using: &random) {
                        let read = handle.baseAddress.load(fromByteOffset: at, as: UInt64.self)
                        if read != model[blk] {
                            Issue.record("thread \(index), block \(blk): \(read), not \(model[blk])")
                        }
                        continue
                    }
                    count += 1
                    model[blk] = count
                    if Int.random(in: 0..<3, using: &random) > 0 {
                        handle.baseAddress.storeBytes(of: count, toByteOffset: at, as: UInt64.self)
                    } else {
                        try? handle.withUnsafeMutableBytes(of: at..<(at + 8)) {
                            $0.storeBytes(of: count, as: UInt64.self)
                        }
                    }
                }
                for blk in 0..<Self.blocks {
                    let at = blk * handle.blockSize + index * page + 8
                    let read = handle.baseAddress.load(fromByteOffset: at, as: UInt64.self)
                    if read != model[blk] {
                        Issue.record("in the end, block \(blk): \(read), not \(model[blk])")
                    }
                }
                if count < 100 { Issue.record("only \(count) changes") }
            }
        }
        let disturber = Worker { [seed] in
            var random = SeededGenerator(state: seed &+ 99)
            while Date() < end {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: _ = try? handle.reclaim(Int.random(in: 0..<16, using: &random))
                case 1:
                    do { try handle.spillAll() } catch VirtMemError.accessInProgress {
                        // A writer is in scoped access.
                    } catch {
                        Issue.record("spillAll: \(error)")
                    }
                default: _ = try? handle.bytes(Int.random(in: 0..<Self.blocks, using: &random))
                }
                usleep(UInt32.random(in: 0..<2000, using: &random))
            }
        }
        for worker in writers + [disturber] { #expect(worker.join(seconds: Int(seconds) + 40)) }
        #expect(file.complaints == [])
        #expect(budget.spilledBlocks > 100)
        try handle.close()
        #expect(budget.usedBytes == 0)
    }
}
