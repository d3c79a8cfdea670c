import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Holes that a scoped write covers as a whole: memory of their own.
    @Suite struct FilledHoleTests {
        let file: DiskFile
        let handle: FileHandle
        var size: Int { file.blockSize }

        init() throws {
            file = try DiskFile()
            handle = try FileHandle(file)
        }

        /// Writes `byte` to every byte of some pages of blocks 0 and 1, through one scoped write of both.
        private func fill(_ byte: UInt8, pages: [Int]) throws {
            try handle.withUnsafeMutableBytes(of: 0..<(2 * size)) { bytes in
                for page_ in pages {
                    for at in (page_ * page)..<((page_ + 1) * page) { bytes[at] = byte }
                }
            }
        }

        @Test(
            "pages that are still zero count as unchanged, with and without the page map",
            arguments: [true, false])
        func changedPages(usesPageMap: Bool) throws {
            let map = try Engine.shared().pageMap
            map.isEnabled = usesPageMap
            defer { map.isEnabled = true }
            try fill(7, pages: [0, 5, 16 + 15])
            try handle.writeout(.store)
            #expect(file.changedPages(0) == [0, 5])
            #expect(file.changedPages(1) == [15])
        }

        @Test("a block filled in part keeps the file of zeros under it")
        func partly() throws {
            try handle.withUnsafeMutableBytes(of: 0..<(size + 1)) { $0[size] = 9 }
            let both = handle.mappings(0) + handle.mappings(1)
            #expect(both.contains { $0.path.contains("virtmem-zero") })
            #expect(!handle.mappings(0).contains { $0.path.contains("virtmem-zero") })
            #expect(handle.byte(1, 1) == 0)
        }

        @Test("discard shows zeros again, and a change after that is exact")
        func discard() throws {
            try fill(7, pages: [1, 2, 20])
            try handle.discard()
            #expect(try handle.bytes(0) == [UInt8](repeating: 0, count: size))
            handle.write(3, 0, 4 * page)
            try handle.writeout([.store, .markStored])
            #expect(file.changedPages(0) == [4])
            #expect(file.changedPages(1) == nil)
        }

        @Test("marked stored, rebased, changed and invalidated like any other block")
        func life() throws {
            try fill(7, pages: Array(0..<32))
            try handle.writeout([.store, .markStored])
            file.publish()
            try handle.rebase()
            #expect(handle.byte(1, 100) == 7)
            file.forgetChanges()
            handle.write(8, 1, 3 * page)
            try handle.writeout(.store)
            #expect(file.changedPages(1) == [3])
            try handle.invalidate([1])
            #expect(handle.byte(1, 3 * page) == 7)
        }
    }
}
