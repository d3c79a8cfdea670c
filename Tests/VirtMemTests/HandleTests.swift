import Testing

@testable import VirtMem

extension EngineTests {
    @Suite struct HandleTests {
        let file = MemoryFile()

        @Test("C1 closing with nothing mapped, with loaded and with dirty blocks")
        func close() throws {
            try FileHandle(file).close()
            let handle = try FileHandle(file)
            _ = handle.byte(0)
            handle.write(1, 1)
            let addresses = handle.addresses(0..<2)
            try handle.close()
            #expect(handle.evictable == [])
            #expect(file.stores == [])
            #expect(!kernelMappings(addresses).contains { $0.path.contains("virtmem") })
        }

        @Test("a closed handle says so; closing twice is fine")
        func closed() throws {
            let handle = try FileHandle(file)
            try handle.close()
            try handle.close()
            func isClosed(_ body: () throws -> Void) -> Bool {
                do { try body() } catch VirtMemError.closed("memory file") { return true } catch {}
                return false
            }
            #expect(isClosed { _ = try handle.bytes(0) })
            #expect(isClosed { try handle.writeScoped(1, 0) })
            #expect(isClosed { _ = try handle.window(0..<1) })
            #expect(isClosed { try handle.writeout(.store) })
            #expect(isClosed { try handle.writeout(.markStored) })
            #expect(isClosed { try handle.discard() })
            #expect(isClosed { try handle.invalidate([0]) })
            #expect(!handle.isDirty)
            #expect(handle.residentBlocks == 0)
        }

        @Test("C2 closing with live windows is an error; afterwards it works")
        func closeWithWindows() throws {
            let handle = try FileHandle(file)
            var windows: [Window] = [try handle.window(0..<1), try handle.window(0..<2)]
            #expect {
                try handle.close()
            } throws: { error in
                guard case VirtMemError.windowsAlive("memory file", 2) = error else { return false }
                return true
            }
            #expect(handle.byte(0) == 0)
            windows.removeAll()
            try handle.close()
        }

        @Test("C2 closing inside a scoped access is an error", arguments: [false, true])
        func closeInside(afterInvalidation: Bool) throws {
            let handle = try FileHandle(file)
            file.set(0, 5)
            try handle.withUnsafeBytes(of: 0..<10) { bytes in
                if afterInvalidation { try handle.invalidate([0]) }
                #expect {
                    try handle.close()
                } throws: { error in
                    guard case VirtMemError.accessInProgress = error else { return false }
                    return true
                }
                #expect(bytes[0] == 5)
            }
            try handle.close()
        }

        @Test("C4 two handles on one file are separate snapshots")
        func separate() throws {
            file.set(0, 5)
            let one = try FileHandle(file)
            let two = try FileHandle(file)
            one.write(6, 0)
            #expect(two.byte(0) == 5)
            #expect(!two.isDirty)
            try one.writeout([.store, .markStored])
            #expect(file.byte(0) == 6)
            #expect(two.byte(0) == 5)
            try two.invalidate([0])
            #expect(two.byte(0) == 6)
        }

        @Test("C6 C7 windows beyond the reservation, up to offsets that overflow, are refused")
        func outOfReservation() throws {
            let handle = try FileHandle(file)
            let capacity = handle.reservedBytes / file.blockSize
            let bad = [
                capacity..<(capacity + 1), 0..<(capacity + 1), -1..<1, 0..<Int.max, (Int.max - 1)..<Int.max,
                Int.min..<0, Int.min..<Int.max,
            ]
            for blocks in bad + (41...62).map({ (1 << $0)..<((1 << $0) + 1) }) {
                #expect(throws: VirtMemError.self) { try handle.window(blocks) }
            }
            for bytes in [-1..<1, 0..<(handle.reservedBytes + 1), (Int.max - 1)..<Int.max] {
                #expect(throws: VirtMemError.self) { try handle.withUnsafeBytes(of: bytes) { _ in } }
                #expect(throws: VirtMemError.self) { try handle.withUnsafeMutableBytes(of: bytes) { _ in } }
            }
            #expect(file.loads == [])
            try handle.close()  // no window is left over
        }

        @Test("C6 an empty window is allowed, also at the end")
        func emptyWindow() throws {
            let handle = try FileHandle(file)
            #expect(try handle.window(7..<7).bytes.isEmpty)
            let end = handle.reservedBytes / file.blockSize
            #expect(try handle.window(end..<end).bytes.isEmpty)
        }

        @Test("the last block of a reservation works")
        func lastBlock() throws {
            let handle = try FileHandle(file, reserving: 1 << 30)
            #expect(handle.reservedBytes == 1 << 30)
            let last = (1 << 30) / file.blockSize - 1
            file.set(last, 9)
            #expect(handle.byte(last, file.blockSize - 1) == 9)
            handle.write(8, last)
            try handle.writeout([.store, .markStored])
            #expect(file.stores == [last])
        }

        @Test(
            "C6 a reservation beyond the address space is refused",
            arguments: [Int.max, Int.max / 2, 1 << 48])
        func hugeReservation(bytes: Int) throws {
            #expect {
                _ = try FileHandle(file, reserving: bytes)
            } throws: { error in
                guard case VirtMemError.outOfMemory = error else { return false }
                return true
            }
        }

        @Test("small reservations are rounded up", arguments: [-5, 0, 1, 4096])
        func smallReservation(bytes: Int) throws {
            let handle = try FileHandle(file, reserving: bytes)
            #expect(handle.reservedBytes >= max(bytes, file.blockSize))
            #expect(handle.byte(0) == 0)
        }

        @Test("C7 blocks far from the start do not share memory", withoutThreadSanitizer)
        func farBlocks() throws {
            let file = MemoryFile(blockSize: 2 << 20)
            let handle = try FileHandle(file, reserving: 16 << 40)
            let blocks = [0, 1, 511, 512, 1 << 16, 1 << 20, (8 << 20) - 1]
            for (index, block) in blocks.enumerated() { handle.write(UInt8(index + 1), block, index) }
            for (index, block) in blocks.enumerated() {
                #expect(handle.byte(block, index) == UInt8(index + 1))
                #expect(handle.byte(block, index + 1) == 0)
            }
            #expect(handle.dirtyBlocks == blocks)
        }

        @Test("a reservation begins on a 2 MiB boundary")
        func alignment() throws {
            for _ in 0..<4 {
                #expect(UInt(bitPattern: try FileHandle(file).baseAddress) % (2 << 20) == 0)
            }
        }

        @Test("C35 the file outlives its handle, the handle its windows; then all goes")
        func lifetimes() throws {
            weak var weakFile: MemoryFile?
            weak var weakHandle: FileHandle?
            var window: Window?
            var addresses: Range<UInt> = 0..<1
            do {
                let file = MemoryFile()
                file.set(1, 5)
                let handle = try FileHandle(file)
                addresses = handle.addresses(0..<2)
                weakFile = file
                weakHandle = handle
                window = try handle.window(1..<2)
            }
            #expect(weakFile != nil && weakHandle != nil)
            #expect(window?.baseAddress.load(as: UInt8.self) == 5)
            window = nil
            #expect(weakHandle == nil)
            #expect(weakFile == nil)
            #expect(!kernelMappings(addresses).contains { $0.path.contains("virtmem") })
        }

        @Test("C36 address look-up: start inclusive, end exclusive, neighbours and gaps told apart")
        func addressLookUp() throws {
            let handles = try (0..<3).map { _ in try FileHandle(file, reserving: 1 << 30) }
            let odd = try FileHandle(MemoryFile(blockSize: 3 << 28), reserving: 1 << 30)
            let engine = try Engine.shared()
            for handle in handles + [odd] {
                let base = UInt(bitPattern: handle.baseAddress)
                let end = base + UInt(handle.reservedBytes)
                let size = UInt(handle.blockSize)
                engine.locked { state in
                    #expect(state.block(at: base, of: handle.id) == 0)
                    #expect(state.block(at: base + size - 1, of: handle.id) == 0)
                    #expect(state.block(at: end - 1, of: handle.id) == handle.reservedBytes / Int(size) - 1)
                    #expect(state.block(at: end, of: handle.id) == nil)
                    #expect(state.block(at: base - 1, of: handle.id) == nil)
                    #expect(state.block(at: 0, of: handle.id) == nil)
                    #expect(state.block(at: base, of: handle.id &+ 1000) == nil)
                }
            }
            try handles[1].close()
            #expect(handles[0].byte(0) == 0)
            #expect(handles[2].byte(0) == 0)
        }

        @Test("A14 closing a handle with scattered blocks")
        func scattered() throws {
            let handle = try FileHandle(file)
            for block in [0, 511, 512, 5000, 100_000, 1 << 19] { handle.write(1, block) }
            for block in [1, 513, 1 << 18] { _ = handle.byte(block) }
            #expect(handle.residentBlocks == 9)
            try handle.close()
        }

        @Test("many handles, opened and dropped, leave nothing behind")
        func manyHandles() throws {
            for round in 0..<300 {
                let handle = try FileHandle(file)
                handle.write(UInt8(round & 255), round)
            }
            let engine = try Engine.shared()
            #expect(engine.locked { $0.handles.values.filter { $0.file === file }.count } == 0)
        }
    }
}
