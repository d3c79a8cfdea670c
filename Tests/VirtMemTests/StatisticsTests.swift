import Testing

@testable import VirtMem

extension EngineTests {
    @Suite struct StatisticsTests {
        @Test("the statistics count handles, faults, loads, frames and evictions")
        func counts() throws {
            let before = try VirtualMemory.statistics()
            let file = MemoryFile()
            let handle = try FileHandle(file)
            _ = handle.byte(0)
            handle.write(1, 1)
            var now = try VirtualMemory.statistics()
            #expect(now.handles == before.handles + 1)
            #expect(now.faults >= before.faults + 2)
            #expect(now.loadedBlocks == before.loadedBlocks + 2)
            #expect(now.frameBytes == before.frameBytes + 2 * file.blockSize)
            #expect(now.evictableBlocks == before.evictableBlocks + 1)
            #expect(now.kernelMappings >= before.kernelMappings + 2)
            _ = try Engine.shared().locked { state throws(VirtMemError) in try state.reclaim(.max) }
            now = try VirtualMemory.statistics()
            #expect(now.evictedBlocks > before.evictedBlocks)
            #expect(now.evictableBlocks == 0)
            #expect(handle.state(1) == .dirty)
        }

        @Test("a lowered frame budget evicts clean frames at the next load")
        func frameBudget() throws {
            let file = MemoryFile()
            let handle = try FileHandle(file)
            for block in 0..<8 { _ = handle.byte(block) }
            let pool = try Engine.shared().pool
            let old = pool.budget
            defer { pool.budget = old }
            let others = pool.usedBytes - 8 * file.blockSize
            try VirtualMemory.setFrameBudget(others + 4 * file.blockSize)
            _ = handle.byte(20)
            #expect(pool.usedBytes <= others + 4 * file.blockSize)
            #expect(handle.byte(0) == 0)
        }
    }
}
