import Testing

@testable import VirtMem

extension EngineTests {
    @Suite struct DiscardInvalidateTests {
        let file = MemoryFile()
        let handle: FileHandle

        init() throws {
            for block in 0..<8 { file.set(block, UInt8(10 + block)) }
            handle = try FileHandle(file)
        }

        @Test("C28 discard: changes gone, memory given back, loaded blocks untouched")
        func discard() throws {
            _ = handle.byte(0)
            for at in 0..<16 { handle.write(99, 1, at * page) }
            handle.write(99, 3)
            let changed = handle.addresses(1..<4)
            #expect(kernelMemory("Anonymous", changed) == 17 * page)
            try handle.discard()
            #expect(kernelMemory("Anonymous", changed) == 0)
            #expect(!handle.isDirty)
            #expect(handle.protection(1) == "r--")
            #expect(handle.byte(0) == 10)
            for at in 0..<16 { #expect(handle.byte(1, at * page) == 11) }
            #expect(handle.byte(3) == 13)
            #expect(file.loads == [0, 1, 3])
            #expect(file.stores == [])
            handle.write(98, 3)
            #expect(handle.dirtyBlocks == [3])
        }

        @Test("discard with nothing dirty")
        func discardNothing() throws {
            try handle.discard()
            _ = handle.byte(0)
            try handle.discard()
            #expect(file.loads == [0])
        }

        @Test(
            "discard after a change that was marked stored gives the stored content",
            arguments: [false, true])
        func discardAfterMark(rebased: Bool) throws {
            handle.write(50, 1)
            handle.write(50, 2)
            try handle.writeout([.store, .markStored])
            if rebased { try handle.rebase() }
            handle.write(60, 1)
            handle.write(60, 1, page)
            handle.write(60, 5)
            try handle.discard()
            #expect(handle.byte(1) == 50)
            #expect(handle.byte(1, page) == 11)
            #expect(handle.byte(2) == 50)
            #expect(handle.byte(5) == 15)
            #expect(!handle.isDirty)
        }

        @Test("discard after STORE: the clean content shows, whatever the backend was given")
        func discardAfterStore() throws {
            handle.write(50, 1)
            try handle.writeout(.store)
            try handle.discard()
            #expect(handle.byte(1) == 11)
            handle.write(51, 1)
            #expect(handle.dirtyBlocks == [1])
        }

        @Test("C29 invalidating what is absent, negative or far away does nothing")
        func invalidateAbsent() throws {
            _ = handle.byte(0)
            try handle.invalidate([1, 2, -1, 1 << 40, Int.max, Int.min])
            try handle.invalidate([])
            #expect(handle.state(0) == .loaded)
            #expect(file.loads == [0])
        }

        @Test("C30 invalidating a loaded block: inaccessible, then loaded anew")
        func invalidateLoaded() throws {
            for block in 0..<4 { _ = handle.byte(block) }
            file.set(2, 99)
            #expect(handle.byte(2) == 12)
            try handle.invalidate([2, 2])
            #expect(handle.protection(2) == "---")
            #expect(handle.protection(1) == "r--")
            #expect(handle.protection(3) == "r--")
            #expect(handle.state(2) == nil)
            #expect(handle.byte(2) == 99)
            #expect(file.loads == [0, 1, 2, 3, 2])
        }

        @Test("C31 invalidating a dirty block: the change is lost, the last one leaves the handle clean")
        func invalidateDirty() throws {
            handle.write(99, 1)
            handle.write(99, 2)
            try handle.invalidate([2])
            #expect(handle.dirtyBlocks == [1])
            #expect(handle.byte(2) == 12)
            try handle.invalidate([1])
            #expect(!handle.isDirty)
            #expect(handle.byte(1) == 11)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [])
        }

        @Test("C32 invalidating after discard and twice")
        func invalidateTwice() throws {
            handle.write(99, 1)
            try handle.discard()
            try handle.invalidate([1])
            try handle.invalidate([1])
            #expect(handle.state(1) == nil)
            #expect(handle.byte(1) == 11)
        }

        @Test("invalidating everything")
        func invalidateAll() throws {
            for block in 0..<8 { _ = handle.byte(block) }
            handle.write(1, 5)
            try handle.invalidateAll()
            #expect(handle.residentBlocks == 0)
            #expect(!handle.isDirty)
            #expect(handle.protection(0) == "---")
            for block in 0..<8 { file.set(block, UInt8(60 + block)) }
            for block in 0..<8 { #expect(handle.byte(block) == UInt8(60 + block)) }
        }

        @Test("B15 recency: a fault makes newest, plain access does not")
        func recency() throws {
            for block in [0, 2, 3] { _ = handle.byte(block) }
            #expect(handle.evictable == [0, 2, 3])
            _ = handle.byte(0)
            #expect(handle.evictable == [0, 2, 3])
            handle.write(1, 0)
            #expect(handle.evictable == [2, 3])
            try handle.discard()
            #expect(handle.evictable == [2, 3, 0])
            _ = try handle.bytes(2)  // scoped access counts as a use
            #expect(handle.evictable == [3, 0, 2])
        }

        @Test("B17 B20 reclaim: oldest first, inaccessible but reserved, loaded again with equal data")
        func reclaim() throws {
            for block in [4, 1, 6] { _ = handle.byte(block) }
            while handle.evictable.count == 3 { try handle.reclaim(1) }
            #expect(handle.evictable == [1, 6])
            #expect(handle.protection(4) == "---")
            #expect(handle.state(4) == nil)
            try handle.reclaim(1000)
            #expect(handle.residentBlocks == 0)
            #expect(handle.byte(4) == 14)
            #expect(handle.byte(1) == 11)
            #expect(file.loads == [4, 1, 6, 4, 1])
        }

        @Test("B18 reclaim never takes dirty, stored or pinned blocks")
        func reclaimSpares() throws {
            handle.write(99, 0)
            handle.write(99, 1)
            try handle.writeout(.store)
            _ = handle.byte(2)
            try handle.withUnsafeBytes(of: (3 * file.blockSize)..<(4 * file.blockSize)) { bytes in
                try handle.reclaim(1000)
                #expect(handle.state(3) == .loaded)
                #expect(handle.protection(3) == "r--")
                #expect(bytes[0] == 13)
            }
            #expect(handle.state(2) == nil)
            #expect(handle.dirtyBlocks == [0, 1])
            #expect(handle.byte(0) == 99)
            #expect(handle.evictable == [3])
        }

        @Test("a block invalidated inside a scoped access stays pinned for the others")
        func pinsSurviveInvalidation() throws {
            let size = file.blockSize
            try handle.withUnsafeBytes(of: 0..<size) { outer in
                try handle.invalidate([0])
                try handle.withUnsafeBytes(of: 0..<size) { inner in
                    #expect(inner[0] == 10)
                }
                try handle.reclaim(1000)
                #expect(handle.state(0) == .loaded)
                #expect(outer[0] == 10)
            }
            #expect(handle.evictable == [0])
            try handle.withUnsafeBytes(of: 0..<size) { _ in try handle.invalidate([0]) }
            _ = handle.byte(0)
            #expect(handle.evictable == [0])
        }

        @Test("B21 reclaim takes from other handles and files: the list belongs to the engine")
        func reclaimAcrossHandles() throws {
            let other = try FileHandle(MemoryFile(name: "other"))
            _ = other.byte(0)
            _ = handle.byte(0)
            while handle.state(0) != nil { #expect(try other.reclaim(1) == 1) }
            #expect(other.state(0) == nil)
        }
    }
}
