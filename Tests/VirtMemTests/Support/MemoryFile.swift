import Foundation
import Synchronization
import VirtMem

/// A backend in memory: blocks are byte arrays, absent ones are zeros. Counts
/// and records every call, and runs hooks inside them.
final class MemoryFile: BigFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct State {
        var blocks: [Int: [UInt8]] = [:]
        var loads: [Int] = []
        var stores: [Int] = []
        var changed: [Int: PageSet] = [:]
    }

    let blockSize: Int
    let description: String
    let state = Mutex(State())
    let onLoad: @Sendable (Int) throws -> Void
    let onStore: @Sendable (Int) throws -> Void

    init(
        blockSize: Int = 16 * 4096, name: String = "memory file",
        onLoad: @escaping @Sendable (Int) throws -> Void = { _ in },
        onStore: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.blockSize = blockSize
        description = name
        self.onLoad = onLoad
        self.onStore = onStore
    }

    var loads: [Int] { state.withLock { $0.loads } }
    var stores: [Int] { state.withLock { $0.stores } }

    func changedPages(_ blk: Int) -> [Int]? { state.withLock { $0.changed[blk]?.pages } }

    func set(_ blk: Int, _ byte: UInt8) {
        state.withLock { $0.blocks[blk] = Array(repeating: byte, count: blockSize) }
    }

    func byte(_ blk: Int, _ offset: Int = 0) -> UInt8 { state.withLock { $0.blocks[blk]?[offset] ?? 0 } }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        let bytes = state.withLock { state -> [UInt8] in
            state.loads.append(blk)
            return state.blocks[blk] ?? []
        }
        try onLoad(blk)
        buffer.copyBytes(from: bytes)
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        try onStore(blk)
        let copy = Array(bytes)
        state.withLock { state in
            state.stores.append(blk)
            state.changed[blk] = changed
            state.blocks[blk] = copy
        }
    }
}
