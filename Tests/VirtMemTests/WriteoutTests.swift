import Testing

@testable import VirtMem

extension EngineTests {
    @Suite struct WriteoutTests {
        let file = MemoryFile()
        let handle: FileHandle

        init() throws {
            for block in 0..<8 { file.set(block, UInt8(10 + block)) }
            handle = try FileHandle(file)
        }

        @Test("C18 C19 STORE takes dirty blocks in ascending order, each once, and they stay dirty")
        func store() throws {
            handle.write(1, 2)
            handle.write(2, 0, page)
            _ = handle.byte(1)
            try handle.writeout(.store)
            #expect(file.stores == [0, 2])
            #expect(file.byte(0, page) == 2)
            #expect(file.byte(0, 0) == 10)
            #expect(file.byte(2) == 1)
            #expect(handle.dirtyBlocks == [0, 2])
            try handle.writeout(.store)
            #expect(file.stores == [0, 2, 0, 2])
            handle.write(3, 2, 1)  // still writable
            #expect(handle.byte(2, 1) == 3)
            try handle.writeout(.store)
            #expect(file.byte(2, 1) == 3)
        }

        @Test("C20 MARKSTORED alone: no store, clean, and the next write is caught")
        func mark() throws {
            handle.write(1, 2)
            handle.write(2, 0)
            try handle.writeout(.markStored)
            #expect(file.stores == [])
            #expect(!handle.isDirty)
            #expect(handle.state(2) == .loaded)
            #expect(handle.protection(0) == "r--")
            #expect(handle.protection(2) == "r--")
            #expect(handle.byte(2) == 1)
            handle.write(5, 2)
            #expect(handle.dirtyBlocks == [2])
            #expect(file.loads == [2, 0])
        }

        @Test("C21 STORE and MARKSTORED together")
        func both() throws {
            handle.write(1, 2)
            handle.write(2, 0)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [0, 2])
            #expect(handle.dirtyBlocks == [])
            #expect(handle.protection(0) == "r--")
            #expect(handle.protection(2) == "r--")
            #expect(handle.byte(0) == 2)
            #expect(handle.byte(2) == 1)
            #expect(file.loads == [2, 0])
        }

        @Test("C22 no flag or an unknown flag is refused", arguments: [0, 4, 5, 255] as [UInt8])
        func flags(raw: UInt8) throws {
            handle.write(1, 2)
            #expect {
                try handle.writeout(WriteoutFlags(rawValue: raw))
            } throws: { error in
                guard case VirtMemError.invalidWriteoutFlags(raw) = error else { return false }
                return true
            }
            #expect(file.stores == [])
            #expect(handle.dirtyBlocks == [2])
            #expect(handle.protection(2) == "rw-")
        }

        @Test(
            "C23 C25 the 2nd of 3 stores fails: 1st clean, others dirty, the cause arrives, a retry stores the rest"
        )
        func storeFails() throws {
            for block in [1, 3, 5] { handle.write(99, block) }
            let cause = MemoryFile.Failure(description: "disk full")
            file.onStore { block in if block == 3 { throw cause } }
            #expect {
                try handle.writeout([.store, .markStored])
            } throws: { error in
                guard case VirtMemError.storeFailed("memory file", 3, let inner) = error else { return false }
                return inner as? MemoryFile.Failure == cause
            }
            #expect(handle.dirtyBlocks == [3, 5])
            #expect(file.stores == [1])
            file.onStore { _ in }
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [1, 3, 5])
            #expect(!handle.isDirty)
        }

        @Test("C24 after a store error a discard, a change and another writeout work")
        func storeErrorEnds() throws {
            handle.write(99, 1)
            handle.write(99, 2)
            file.onStore { _ in throw MemoryFile.Failure(description: "no") }
            for flags in [.store, [.store, .markStored]] as [WriteoutFlags] {
                #expect(throws: VirtMemError.self) { try handle.writeout(flags) }
                #expect(throws: VirtMemError.self) { try handle.writeout(flags) }
                handle.write(98, 2)
            }
            try handle.discard()
            #expect(handle.byte(1) == 11)
            #expect(!handle.isDirty)
            file.onStore { _ in }
            handle.write(97, 4)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [4])
        }

        @Test("a MARK after a failed STORE marks nothing that was not stored")
        func markAfterFailedStore() throws {
            handle.write(99, 1)
            handle.write(99, 2)
            file.onStore { block in if block == 2 { throw MemoryFile.Failure(description: "no") } }
            #expect(throws: VirtMemError.self) { try handle.writeout(.store) }
            try handle.writeout(.markStored)
            #expect(handle.dirtyBlocks == [2])
            file.onStore { _ in }
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [1, 2])
        }

        @Test("C27 nothing dirty: success, no store")
        func nothingDirty() throws {
            try handle.writeout(.store)
            try handle.writeout(.markStored)
            _ = handle.byte(0)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [])
        }

        @Test("C34 the dirty query")
        func isDirty() throws {
            #expect(!handle.isDirty)
            _ = handle.byte(0)
            #expect(!handle.isDirty)
            handle.write(1, 0)
            #expect(handle.isDirty)
            try handle.writeout(.store)
            #expect(handle.isDirty)
            try handle.writeout(.markStored)
            #expect(!handle.isDirty)
            handle.write(1, 0)
            try handle.discard()
            #expect(!handle.isDirty)
            handle.write(1, 0)
            handle.write(1, 1)
            try handle.invalidate([0])
            #expect(handle.isDirty)
            try handle.invalidate([1])
            #expect(!handle.isDirty)
        }

        @Test("what is written after STORE and before MARK stays dirty and is not lost")
        func writeBetween() throws {
            handle.write(1, 0)
            handle.write(1, 1)
            try handle.writeout(.store)
            handle.write(2, 1, page)
            handle.write(2, 2)
            try handle.writeout(.markStored)
            #expect(handle.dirtyBlocks == [1, 2])
            #expect(handle.byte(1) == 1)
            #expect(handle.byte(1, page) == 2)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [0, 1, 1, 2])
            #expect(file.byte(1) == 1)
            #expect(file.byte(1, page) == 2)
            #expect(file.byte(2) == 2)
        }

        @Test("discard between STORE and MARK: the mark finds nothing, a later change is not marked")
        func discardBetween() throws {
            handle.write(1, 0)
            try handle.writeout(.store)
            try handle.discard()
            handle.write(2, 1)
            try handle.writeout(.store)
            #expect(file.stores == [0, 1])
            try handle.writeout(.markStored)
            #expect(!handle.isDirty)
        }

        @Test("exact changed pages in memory of the engine", arguments: [1, 3, 64, 65, 512])
        func changedPages(pages: Int) throws {
            let file = MemoryFile(blockSize: pages * page)
            let handle = try FileHandle(file)
            var random = SeededGenerator(state: UInt64(pages))
            for block in 0..<4 {
                file.set(block, UInt8(block + 1))
                for at in 0..<pages { _ = handle.byte(block, at * page) }
            }
            for block in 0..<4 {
                let wanted = (0..<pages).filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
                for at in wanted { handle.write(UInt8(block + 1), block, at * page + 17) }  // the byte it had
                file.forgetCalls()
                try handle.writeout([.store, .markStored])
                #expect(file.changedPages(block) ?? [] == wanted)
            }
        }

        @Test(
            "each run of at most 64 MiB of dirty blocks is announced, with what changed, before it is stored"
        )
        func announced() throws {
            let size = 1 << 20
            let file = MemoryFile(blockSize: size)
            let handle = try FileHandle(file)
            try handle.withUnsafeMutableBytes(of: (150 * size)..<(150 * size + 1)) { _ in }
            for block in 10..<110 { for at in 0..<(block % 4 + 1) { handle.write(1, block, at * page) } }
            handle.write(1, 149, page)
            handle.write(1, 200)
            try handle.writeout(.store)
            let pages = (10..<110).map { $0 % 4 + 1 }
            #expect(
                file.announced == [
                    .init(blocks: 10..<74, changedPages: Array(pages[..<64]), storesBefore: 0),
                    .init(blocks: 74..<110, changedPages: Array(pages[64...]), storesBefore: 64),
                    .init(blocks: 149..<151, changedPages: [1, 0], storesBefore: 100),
                    .init(blocks: 200..<201, changedPages: [1], storesBefore: 101),
                ])
            #expect(file.stores == Array(10..<110) + [149, 200])
        }

        @Test("made dirty but not written: nothing is stored")
        func nothingWritten() throws {
            try handle.withUnsafeMutableBytes(of: 0..<1) { _ in }
            #expect(handle.dirtyBlocks == [0])
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [])
            #expect(!handle.isDirty)
        }

        @Test("a block marked stored is evictable only once the backend can load it again")
        func markedStoredIsKept() throws {
            handle.write(99, 1)
            try handle.writeout([.store, .markStored])
            file.set(1, 50)  // a snapshot that does not hold the change yet
            #expect(handle.evictable == [])
            try handle.reclaim()
            #expect(handle.byte(1) == 99)
            file.set(1, 99)
            try handle.rebase()
            #expect(handle.evictable == [1])
            #expect(handle.byte(1) == 99)
            try handle.reclaim()
            #expect(handle.state(1) == nil)
            #expect(handle.byte(1) == 99)
        }
    }
}
