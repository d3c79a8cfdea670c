import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// What one fault or call does must not grow with what is open besides.
    @Suite struct ManyHandlesTests {
        @Test(
            "J3 J4 10,000 handles, 10 TiB of addresses: each fault finds its handle and its block",
            withoutThreadSanitizer)
        func tenThousand() async {
            await #expect(processExitsWith: .success) {
                startWatchdog(seconds: 120)
                let count = 10_000
                // The value of a block tells its file and its number.
                final class NumberedFile: BigFile {
                    let blockSize = page
                    let description = "numbered file"
                    let number: Int
                    init(_ number: Int) { self.number = number }
                    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
                        buffer.storeBytes(of: UInt64(number << 32 | blk), as: UInt64.self)
                    }
                    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {}
                }
                let handles = try (0..<count).map { try FileHandle(NumberedFile($0), reserving: 1 << 30) }
                let lastBlock = (1 << 30) / page - 1
                var random = SeededGenerator(state: 17)
                var wrong = 0
                // The handle of an address: no two share a granule.
                #expect(Set(handles.map { UInt(bitPattern: $0.baseAddress) >> 30 }).count == count)
                for index in (0..<count).shuffled(using: &random) {
                    let block = [0, 1, 511, 512, lastBlock].randomElement(using: &random)!
                    let address = handles[index].baseAddress + block * page
                    if address.load(as: UInt64.self) != UInt64(index << 32 | block) { wrong += 1 }
                    // The table of a handle holds what is there, not what could be.
                    if handles[index].residentBlocks != 1 { wrong += 1 }
                }
                #expect(wrong == 0)
                // Taking one away by its number touches that one.
                for index in stride(from: 0, to: count, by: 100) { try handles[index].invalidateAll() }
                let resident = handles.reduce(0) { $0 + $1.residentBlocks }
                #expect(resident == count - count / 100)
                // Each handle takes three kernel mappings; the rest is for others.
                #expect(countMappings() < 3 * count + 1000)
                for handle in handles { try handle.close() }
                #expect(handles[0].engine.locked { $0.usedMappings } == 0)
                #expect(handles[0].engine.pool.usedBytes == 0)
            }
        }
    }
}
