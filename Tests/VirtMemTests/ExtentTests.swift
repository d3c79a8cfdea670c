import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Blocks that are mapped from a file without a copy.
    @Suite struct ExtentTests {
        let file: DiskFile
        let handle: FileHandle
        var size: Int { file.blockSize }

        init() throws {
            file = try DiskFile()
            handle = try FileHandle(file)
        }

        /// Bytes that tell every page and its place.
        private func pattern(_ seed: Int, pages: Int = 16) -> [UInt8] {
            (0..<(pages * page)).map { UInt8(truncatingIfNeeded: $0 / page * 7 + $0 + seed) }
        }

        private func zeros(_ pages: Int) -> [UInt8] { Array(repeating: 0, count: pages * page) }

        @Test("a whole block shows its extent: no load, the file itself mapped, no memory")
        func whole() throws {
            let content = pattern(3)
            file.set(2, bytes: content)
            #expect(try handle.bytes(2) == content)
            #expect(file.loads == [])
            #expect(handle.protection(2) == "r--")
            let mapping = try #require(handle.mappings(2).first)
            #expect(mapping.path.contains("virtmem-test-"))
            #expect(mapping.offset == 0)
            #expect(kernelMemory("Anonymous", handle.addresses(2..<3)) == 0)
        }

        @Test("a trimmed tail reads as zeros", arguments: [1, 5, 15])
        func trimmed(pages: Int) throws {
            let content = pattern(1, pages: pages)
            file.set(0, bytes: content)
            #expect(try handle.bytes(0) == content + zeros(16 - pages))
        }

        @Test("gaps before, between and after extents read as zeros")
        func gaps() throws {
            let start = file.append(pattern(9))
            let extents = [
                FileExtent(
                    descriptor: file.descriptor, fileOffset: start + 4 * page, length: 2 * page,
                    blockOffset: page),
                FileExtent(
                    descriptor: file.descriptor, fileOffset: start, length: 3 * page, blockOffset: 8 * page),
                FileExtent(
                    descriptor: file.descriptor, fileOffset: start + 10 * page, length: page,
                    blockOffset: 11 * page),
            ]
            file.set(4, source: .extents(extents))
            let content = pattern(9)
            let expected =
                zeros(1) + content[(4 * page)..<(6 * page)] + zeros(5) + content[..<(3 * page)]
                + content[(10 * page)..<(11 * page)] + zeros(4)
            #expect(try handle.bytes(4) == expected)
            // Changed pages are exact across all of them.
            for at in [0, 2, 7, 8, 11, 15] { handle.write(5, 4, at * page) }
            try handle.writeout(.store)
            #expect(file.changedPages(4) == [0, 2, 7, 8, 11, 15])
            try handle.discard()
            #expect(try handle.bytes(4) == expected)
        }

        @Test("a rebase maps what moved or was written, and leaves the rest alone")
        func partialRebase() throws {
            var content = pattern(2)
            let base = file.append(content)
            let old = FileExtent(descriptor: file.descriptor, fileOffset: base, length: size)
            file.set(3, source: .extents([old]))
            #expect(try handle.bytes(3) == content)
            for at in [4, 9] { handle.write(content[at * page] &+ 1, 3, at * page) }
            handle.write(content[12 * page], 3, 12 * page)  // the byte it had
            try handle.writeout([.store, .markStored])
            for at in [4, 9] { content[at * page] &+= 1 }
            let new = file.append(Array(content[(4 * page)..<(5 * page)] + content[(9 * page)..<(10 * page)]))
            func extent(_ offset: Int, _ pages: Range<Int>) -> FileExtent {
                FileExtent(
                    descriptor: file.descriptor, fileOffset: offset, length: pages.count * page,
                    blockOffset: pages.lowerBound * page)
            }
            file.set(
                3,
                source: .extents([
                    extent(base, 0..<4), extent(new, 4..<5), extent(base + 5 * page, 5..<9),
                    extent(new + page, 9..<10), extent(base + 10 * page, 10..<16),
                ]))
            try handle.rebase()
            let start = handle.addresses(3..<4).lowerBound
            #expect(handle.engine.pageMap.isPresent(start) != false)
            #expect(kernelMemory("Anonymous", handle.addresses(3..<4)) == 0)
            #expect(try handle.bytes(3) == content)
            #expect(handle.evictable.contains(3))
            handle.write(1, 3, 15 * page)
            try handle.writeout(.store)
            #expect(file.changedPages(3) == [15])
        }

        @Test("no extents at all is a block of zeros, as is a hole")
        func empty() throws {
            file.set(0, source: .extents([]))
            #expect(try handle.bytes(0) == zeros(16))
            #expect(try handle.bytes(1) == zeros(16))
            #expect(file.loads == [])
        }

        @Test("reading a hole does not look changed; writing it is exact")
        func holes() throws {
            for at in 0..<16 { #expect(handle.byte(3, at * page) == 0) }
            try handle.withUnsafeMutableBytes(of: (3 * size)..<(4 * size)) { bytes in
                #expect(bytes.allSatisfy { $0 == 0 })
            }
            try handle.writeout([.store, .markStored])
            #expect(file.changedPages(3) == nil)
            handle.write(1, 3, 5 * page)
            handle.write(0, 3, 6 * page)
            for at in 0..<16 { _ = handle.byte(3, at * page) }
            try handle.writeout(.store)
            #expect(file.changedPages(3) == [5, 6])
            #expect(handle.byte(4) == 0)  // another hole: the zeros are not shared writably
            #expect(handle.byte(3, 5 * page) == 1)
        }

        @Test("a change never reaches the file")
        func filePrivate() throws {
            let content = pattern(2)
            file.set(0, bytes: content)
            handle.write(99, 0, 100)
            _ = try handle.withUnsafeMutableBytes(of: page..<(3 * page)) { bytes in
                bytes.initializeMemory(as: UInt8.self, repeating: 77)
            }
            #expect(file.fileBytes(0..<size) == content)
            try handle.writeout([.store, .markStored])
            #expect(file.fileBytes(0..<size) == content)
            let other = try FileHandle(file)
            #expect(try other.bytes(0) == content)
        }

        @Test("rebase shows the same bytes from the new place and makes change tracking exact again")
        func rebase() throws {
            file.set(0, bytes: pattern(2))
            file.set(1, bytes: pattern(3, pages: 3))
            handle.write(99, 0, 3 * page)
            handle.write(98, 1, 9 * page)
            handle.write(97, 2, 0)
            try handle.writeout([.store, .markStored])
            let before = try (0..<4).map { try handle.bytes($0) }
            #expect(kernelMemory("Anonymous", handle.addresses(0..<3)) == 3 * page)
            file.publish()
            try handle.rebase()
            #expect(kernelMemory("Anonymous", handle.addresses(0..<3)) == 0)
            #expect(try (0..<4).map { try handle.bytes($0) } == before)
            #expect(file.loads == [])
            #expect(handle.protection(0) == "r--")
            #expect(Set(handle.evictable) == [0, 1, 2, 3])

            file.forgetChanges()
            handle.write(50, 0, 7 * page)
            handle.write(50, 2, 8 * page)
            try handle.writeout(.store)
            #expect(file.changedPages(0) == [7])
            #expect(file.changedPages(2) == [8])
            try handle.discard()
            #expect(try (0..<4).map { try handle.bytes($0) } == before)
        }

        @Test("a mapped block that can only be copied from now on leaves its old place")
        func rebaseToCopies() throws {
            let old = file.append([UInt8](repeating: 1, count: size))
            let extent = FileExtent(descriptor: file.descriptor, fileOffset: old, length: size)
            file.set(0, source: .extents([extent]))
            handle.write(2, 0, 3 * page)
            handle.write(2, 1, 3 * page)  // over a hole, which nobody overwrites
            try handle.writeout([.store, .markStored])
            for block in 0..<2 { file.set(block, source: .load) }
            try handle.rebase()
            // The backend gives the old place to others.
            let others = [UInt8](repeating: 9, count: size)
            let count = others.withUnsafeBytes {
                pwrite(file.descriptor, $0.baseAddress, size, off_t(old))
            }
            #expect(count == size)
            #expect(try handle.bytes(0) == [UInt8](repeating: 200, count: size))
            #expect(handle.byte(1) == 0 && handle.byte(1, 3 * page) == 2)
            #expect(file.loads == [0])
        }

        @Test("without rebase, pages changed before the mark count again: never too few")
        func withoutRebase() throws {
            file.set(0, 1)
            handle.write(2, 0, 3 * page)
            try handle.writeout([.store, .markStored])
            handle.write(2, 0, 5 * page)
            try handle.writeout(.store)
            let changed = try #require(file.changedPages(0))
            #expect(changed.contains(5))
            #expect(Set(changed).isSubset(of: [3, 5]))
        }

        @Test("rebase leaves alone what was changed again")
        func rebaseAfterChange() throws {
            file.set(0, 1)
            handle.write(2, 0)
            try handle.writeout([.store, .markStored])
            file.publish()
            handle.write(3, 0, page)
            try handle.rebase()
            #expect(handle.dirtyBlocks == [0])
            #expect(handle.byte(0) == 2)
            #expect(handle.byte(0, page) == 3)
            try handle.discard()
            #expect(handle.byte(0) == 2)
            #expect(handle.byte(0, page) == 1)
        }

        @Test("neighbours that continue each other in the file share a mapping, and stay apart as blocks")
        func contiguous() throws {
            for block in 0..<8 { file.set(block, UInt8(block + 1)) }
            _ = try handle.withUnsafeBytes(of: 0..<(8 * size)) { $0.count }
            #expect(kernelMappings(handle.addresses(0..<8)).count == 1)
            handle.write(99, 3)
            #expect(handle.protection(2) == "r--")
            #expect(handle.protection(3) == "rw-")
            #expect(handle.protection(4) == "r--")
            try handle.invalidate([5])
            #expect(handle.protection(5) == "---")
            for block in [0, 1, 2, 4, 5, 6, 7] { #expect(handle.byte(block, 9) == UInt8(block + 1)) }
            #expect(handle.byte(3) == 99)
            try handle.discard()
            #expect(handle.byte(3) == 4)
        }

        @Test("sequential reading takes extents along; states and bytes are those of single loads")
        func readAhead() throws {
            for block in 0..<64 where block % 7 != 3 { file.set(block, UInt8(block + 1)) }
            file.set(20, source: .load)
            for block in 0..<64 {
                let expected = block == 20 ? 220 : block % 7 == 3 ? 0 : UInt8(block + 1)
                #expect(handle.byte(block, 77) == expected)
                #expect(handle.state(block) == .loaded)
            }
            #expect(file.lookups.count < 64)
            #expect(file.loads == [20])
            #expect(!handle.isDirty)
            #expect(handle.activeLoads == 0)
            #expect(handle.evictable.sorted() == Array(0..<64))
        }

        @Test("a block that was only taken along and cannot be looked up does not fail the one wanted")
        func readAheadFailure() throws {
            for block in 0..<16 { file.set(block, UInt8(block + 1)) }
            file.onLookup { blocks in
                if blocks.contains(4) { throw MemoryFile.Failure(description: "bad header") }
            }
            for block in 0..<4 { #expect(handle.byte(block) == UInt8(block + 1)) }
            #expect(throws: VirtMemError.self) { try handle.bytes(4) }
            #expect(handle.byte(5) == 6)
            #expect(handle.activeLoads == 0)
        }

        @Test("blocks that need a load are not taken along")
        func noLoadAhead() throws {
            for block in 0..<20 { file.set(block, source: .load) }
            for block in 0..<6 { #expect(handle.byte(block) == UInt8(200 + block)) }
            #expect(file.loads == Array(0..<6))
            #expect(handle.residentBlocks == 6)
        }

        @Test("invalidate shows the newer extent")
        func invalidate() throws {
            file.set(0, 1)
            #expect(handle.byte(0) == 1)
            file.set(0, 2)
            #expect(handle.byte(0) == 1)
            try handle.invalidate([0])
            #expect(handle.byte(0) == 2)
        }

        @Test("extents out of the block are refused before they overwrite a neighbour", arguments: 0..<3)
        func badExtents(which: Int) async {
            await #expect(processExitsWith: .failure) { [which = which as Int] in
                let file = try DiskFile()
                file.set(1, 7)
                func extent(_ pages: Int, at: Int) -> FileExtent {
                    FileExtent(
                        descriptor: file.descriptor, fileOffset: 0, length: pages * page,
                        blockOffset: at * page)
                }
                let bad = [[extent(4, at: 14)], [extent(2, at: 1), extent(2, at: 2)], [extent(1, at: -1)]]
                file.set(0, source: .extents(bad[which]))
                let handle = try FileHandle(file)
                _ = try handle.bytes(0)
            }
        }
    }
}
