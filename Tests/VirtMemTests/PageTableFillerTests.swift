import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Page-table entries made ahead of a reader.
    @Suite struct PageTableFillerTests {
        private let large = 2 << 20

        private func extent(_ offset: Int, _ length: Int, at place: Int = 0) -> LoadedContent {
            .extents([FileExtent(descriptor: 3, fileOffset: offset, length: length, blockOffset: place)])
        }

        @Test("what the kernel maps in large pages needs no help")
        func aligned() {
            let content = [extent(4 * large, large), extent(5 * large, large), .hole]
            #expect(PageTableFiller.smallPieces(content, large, from: 7) == [])
        }

        @Test("a block that is not aligned, and one in pieces, do")
        func small() {
            #expect(
                PageTableFiller.smallPieces([extent(page, large), extent(4 * large, large)], large, from: 1)
                    == [0..<large])
            let pieces = LoadedContent.extents([
                FileExtent(descriptor: 3, fileOffset: 0, length: page),
                FileExtent(descriptor: 3, fileOffset: 9 * large, length: page, blockOffset: page),
                FileExtent(
                    descriptor: 3, fileOffset: 2 * page, length: large - 2 * page, blockOffset: 2 * page),
            ])
            // The end of the last piece goes on in the next block, which is whole.
            #expect(
                PageTableFiller.smallPieces([pieces, extent(large, large)], large, from: 4)
                    == [0..<page, page..<(2 * page), (2 * page)..<large])
        }

        @Test("small blocks that are one large page together")
        func joined() {
            let content = (0..<8).map { extent(8 * large + $0 * large / 4, large / 4) }
            #expect(PageTableFiller.smallPieces(content, large / 4, from: 16) == [])
            let half = large / 2
            #expect(PageTableFiller.smallPieces(content, large / 4, from: 14) == [0..<(2 * large)])
            #expect(
                PageTableFiller.smallPieces(Array(content.dropFirst(2)), large / 4, from: 18)
                    == [0..<half])
        }

        @Test("the entries of blocks not read yet are there when the reader comes")
        func ahead() async throws {
            try #require(sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1)
            let file = try DiskFile(blockSize: 64 * page)
            // So that nothing is aligned.
            file.append([UInt8](repeating: 0, count: page))
            for block in 0..<64 { file.set(block, UInt8(block)) }
            let handle = try FileHandle(file)
            #expect(handle.byte(0) == 0)
            #expect(handle.byte(1) == 1)
            #expect(handle.byte(16) == 16)
            #expect(handle.byte(17) == 17)
            let later = UInt(bitPattern: handle.baseAddress) + UInt((30 * 64 + 40) * page)
            let source = handle.engine.pageMap
            try #require(source.isAvailable)
            let deadline = Date.now + 10
            while source.isPresent(later) != true, Date.now < deadline {
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(source.isPresent(later) == true)
            #expect(handle.byte(30, 40 * page) == 30)
        }
    }
}
