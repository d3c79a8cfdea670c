import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// From absent to loaded to dirty, by faults and by scoped access.
    @Suite struct BlockStateTests {
        let file = MemoryFile()
        let handle: FileHandle

        init() throws {
            for block in 0..<8 { file.set(block, UInt8(10 + block)) }
            handle = try FileHandle(file)
        }

        @Test("C5 opening and windows load nothing; the first byte is the window's first block")
        func openLoadsNothing() throws {
            let window = try handle.window(100..<104)
            #expect(window.bytes == (100 * file.blockSize)..<(104 * file.blockSize))
            #expect(window.baseAddress == handle.baseAddress + 100 * file.blockSize)
            #expect(file.loads == [])
            #expect(handle.residentBlocks == 0)
            for block in [0, 99, 100, 103, 104] { #expect(handle.protection(block) == "---") }
            file.set(100, 33)
            #expect(window.baseAddress.load(as: UInt8.self) == 33)
            #expect(file.loads == [100])
        }

        @Test("C8 a read fault loads once, shows the block read-only and clean")
        func readFault() throws {
            #expect(handle.byte(2, 5) == 12)
            #expect(handle.byte(2, file.blockSize - 1) == 12)
            #expect(file.loads == [2])
            #expect(handle.state(2) == .loaded)
            #expect(handle.protection(2) == "r--")
            #expect(handle.protection(1) == "---")
            #expect(handle.protection(3) == "---")
            #expect(!handle.isDirty)
            _ = handle.byte(5)
            #expect(handle.evictable == [2, 5])
        }

        @Test("C9 a write fault on an absent block loads once and makes it dirty")
        func writeFault() throws {
            handle.write(99, 2, 10)
            #expect(file.loads == [2])
            #expect(handle.state(2) == .dirty)
            #expect(handle.protection(2) == "rw-")
            #expect(handle.dirtyBlocks == [2])
            #expect(handle.byte(2, 10) == 99)
            #expect(handle.byte(2, 9) == 12)
            #expect(handle.byte(2, file.blockSize - 1) == 12)
            #expect(file.byte(2, 10) == 12)
        }

        @Test("C10 C14 a write to a loaded block: no load, dirty once, protection raised")
        func writeToLoaded() throws {
            _ = handle.byte(1)
            handle.write(50, 1)
            handle.write(51, 1, page)
            #expect(file.loads == [1])
            #expect(handle.dirtyBlocks == [1])
            #expect(handle.protection(1) == "rw-")
            #expect(handle.evictable == [])
        }

        @Test("C11 C15 a dirty block seen through a new window: no load, writable at once")
        func dirtyThroughNewWindow() throws {
            handle.write(77, 3)
            let window = try handle.window(3..<5)
            #expect(window.baseAddress.load(as: UInt8.self) == 77)
            #expect(file.loads == [3])
            #expect(handle.protection(3) == "rw-")
            #expect(handle.protection(4) == "---")
        }

        @Test("B5 C12 C13 windows at different offsets alias")
        func aliasing() throws {
            let one = try handle.window(0..<4)
            let two = try handle.window(2..<6)
            #expect(one.baseAddress.load(fromByteOffset: 2 * file.blockSize, as: UInt8.self) == 12)
            #expect(two.baseAddress.load(as: UInt8.self) == 12)
            #expect(file.loads == [2])
            two.baseAddress.storeBytes(of: 200, as: UInt8.self)
            #expect(one.baseAddress.load(fromByteOffset: 2 * file.blockSize, as: UInt8.self) == 200)
            one.baseAddress.storeBytes(of: 201, toByteOffset: 3 * file.blockSize, as: UInt8.self)
            #expect(two.baseAddress.load(fromByteOffset: file.blockSize, as: UInt8.self) == 201)
            #expect(handle.dirtyBlocks == [2, 3])
        }

        @Test("C16 C17 releasing windows keeps dirty and loaded blocks")
        func releaseWindows() throws {
            var window: Window? = try handle.window(0..<2)
            window?.baseAddress.storeBytes(of: 1, as: UInt8.self)
            #expect(window?.baseAddress.load(fromByteOffset: file.blockSize, as: UInt8.self) == 11)
            window = nil
            #expect(handle.dirtyBlocks == [0])
            #expect(handle.evictable == [1])
            #expect(handle.byte(0) == 1)
            #expect(file.loads == [0, 1])
            try handle.writeout([.store, .markStored])
            #expect(file.byte(0) == 1)
        }

        @Test("C48 a short load leaves a tail of zeros, also in memory used before")
        func shortLoad() throws {
            handle.write(255, 0)
            for block in 0..<8 { _ = handle.byte(block) }
            try handle.invalidateAll()  // frames with bytes in them go back to the pool
            file.set(1, bytes: [1, 2, 3])
            file.set(2, bytes: [])
            #expect(try handle.bytes(1) == [1, 2, 3] + Array(repeating: 0, count: file.blockSize - 3))
            #expect(try handle.bytes(2) == Array(repeating: 0, count: file.blockSize))
        }

        @Test("C48 the load buffer is one block of zeros")
        func loadBuffer() throws {
            final class Checker: BigFile {
                let blockSize = 3 * page
                let description = "checker"
                func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
                    guard buffer.count == blockSize, buffer.allSatisfy({ $0 == 0 }) else {
                        throw MemoryFile.Failure(description: "not a block of zeros")
                    }
                    buffer.initializeMemory(as: UInt8.self, repeating: UInt8(blk))
                }
                func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {}
            }
            let handle = try FileHandle(Checker())
            for _ in 0..<3 {
                for block in 1..<20 { #expect(try handle.bytes(block).allSatisfy { $0 == UInt8(block) }) }
                try handle.invalidateAll()
            }
        }

        @Test(
            "C47 a block size that is no multiple of the page size is refused",
            arguments: [0, -4096, 1, 4095, 6000])
        func blockSize(size: Int) throws {
            #expect {
                _ = try FileHandle(MemoryFile(blockSize: size))
            } throws: { error in
                guard case VirtMemError.invalidBlockSize(_, size, page) = error else { return false }
                return true
            }
        }

        @Test("C47 any multiple of the page size works", arguments: [1, 2, 3, 5, 512, 1024])
        func blockSizes(pages: Int) throws {
            let file = MemoryFile(blockSize: pages * page)
            for block in 0..<4 { file.set(block, UInt8(block + 1)) }
            let handle = try FileHandle(file)
            for block in 0..<4 {
                #expect(handle.byte(block) == UInt8(block + 1))
                #expect(handle.byte(block, file.blockSize - 1) == UInt8(block + 1))
            }
            handle.write(9, 2, file.blockSize - 1)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [2])
            #expect(file.changedPages(2) == [pages - 1])
        }

        @Test("C46 scoped access throws what the load threw; the block can be loaded later")
        func loadFails() throws {
            let cause = MemoryFile.Failure(description: "disk on fire")
            file.onLoad { block in if block == 3 { throw cause } }
            for range in [3..<4, 2..<5] {
                #expect {
                    try handle.withUnsafeBytes(
                        of: (range.lowerBound * file.blockSize)..<(range.upperBound * file.blockSize)
                    ) { _ in }
                } throws: { error in
                    guard case VirtMemError.loadFailed("memory file", 3, let inner) = error else {
                        return false
                    }
                    return inner as? MemoryFile.Failure == cause
                }
            }
            #expect(throws: VirtMemError.self) { try handle.writeScoped(1, 3) }
            #expect(handle.state(3) == nil)
            #expect(!handle.isDirty)
            #expect(handle.activeLoads == 0)
            file.onLoad { _ in }
            #expect(try handle.bytes(3)[0] == 13)
            try handle.close()
        }

        @Test("scoped access over many blocks, some of them loaded or dirty before")
        func scopedRun() throws {
            _ = handle.byte(1)
            handle.write(100, 3)
            let size = file.blockSize
            let firsts = try handle.withUnsafeBytes(of: 0..<(6 * size)) { bytes in
                (0..<6).map { bytes[$0 * size] }
            }
            #expect(firsts == [10, 11, 12, 100, 14, 15])
            #expect(file.loads.sorted() == [0, 1, 2, 3, 4, 5])
            try handle.withUnsafeMutableBytes(of: (size - 1)..<(2 * size + 1)) { bytes in
                #expect(bytes.count == size + 2)
                bytes[0] = 1
                bytes[bytes.count - 1] = 2
            }
            #expect(handle.dirtyBlocks == [0, 1, 2, 3])
            #expect(handle.byte(0, size - 1) == 1)
            #expect(handle.byte(2, 0) == 2)
            #expect(try handle.withUnsafeBytes(of: 5..<5) { $0.count } == 0)
        }

        @Test("scoped memory may be handed to a system call")
        func systemCall() throws {
            let disk = try DiskFile()
            disk.append(Array(repeating: 88, count: 4 * file.blockSize))
            let size = file.blockSize
            let count = try handle.withUnsafeMutableBytes(of: 100..<(100 + 2 * size)) {
                pread(disk.descriptor, $0.baseAddress, $0.count, 0)
            }
            #expect(count == 2 * size)
            #expect(handle.byte(0, 99) == 10)
            #expect(handle.byte(0, 100) == 88)
            #expect(handle.byte(2, 99) == 88)
            #expect(handle.byte(2, 100) == 12)
        }
    }
}
