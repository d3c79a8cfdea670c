import Testing
import VirtMem

@Suite struct BlockStateTests {
    @Test("C8 a read fault loads once, C9 a write fault makes dirty")
    func faults() throws {
        let file = MemoryFile()
        file.set(0, 7)
        file.set(1, 9)
        let handle = try FileHandle(file)
        let base = handle.baseAddress
        #expect(base.load(fromByteOffset: 5, as: UInt8.self) == 7)
        #expect(base.load(fromByteOffset: 100, as: UInt8.self) == 7)
        #expect(file.loads == [0])
        #expect(!handle.isDirty)
        base.storeBytes(of: 42, toByteOffset: file.blockSize + 10, as: UInt8.self)
        #expect(handle.dirtyBlocks == [1])
        #expect(base.load(fromByteOffset: file.blockSize + 11, as: UInt8.self) == 9)
        #expect(base.load(fromByteOffset: file.blockSize + 10, as: UInt8.self) == 42)
        base.storeBytes(of: 43, toByteOffset: 4096, as: UInt8.self)
        #expect(handle.dirtyBlocks == [0, 1])
        try handle.writeout([.store, .markStored])
        #expect(file.stores == [0, 1])
        #expect(file.changedPages(0) == [1])
        #expect(file.byte(1, 10) == 42)
        #expect(!handle.isDirty)
        base.storeBytes(of: 44, toByteOffset: 4096, as: UInt8.self)
        try handle.discard()
        #expect(base.load(fromByteOffset: 4096, as: UInt8.self) == 43)
    }
}
