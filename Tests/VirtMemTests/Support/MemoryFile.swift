import Foundation
import Synchronization
import VirtMem

/// A backend in memory: blocks are byte arrays, absent ones are zeros. Counts
/// and records every call, and runs hooks inside them.
final class MemoryFile: BigFile {
    struct Failure: Error, CustomStringConvertible, Equatable {
        let description: String
    }

    struct Announcement: Equatable {
        let blocks: Range<Int>
        let changedPages: [Int]
        let storesBefore: Int
    }

    struct State {
        var blocks: [Int: [UInt8]] = [:]
        var loads: [Int] = []
        var stores: [Int] = []
        var changed: [Int: PageSet] = [:]
        /// What `willStore` said, and how many stores there were before.
        var announced: [Announcement] = []
        var onLoad: @Sendable (Int) throws -> Void = { _ in }
        var onStore: @Sendable (Int) throws -> Void = { _ in }
    }

    let blockSize: Int
    let description: String
    let state: Mutex<State>

    init(
        blockSize: Int = 16 * 4096, name: String = "memory file",
        onLoad: @escaping @Sendable (Int) throws -> Void = { _ in },
        onStore: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.blockSize = blockSize
        description = name
        state = Mutex(State(onLoad: onLoad, onStore: onStore))
    }

    var loads: [Int] { state.withLock { $0.loads } }
    var stores: [Int] { state.withLock { $0.stores } }

    /// Runs before the bytes of a block are taken or kept; may throw or wait.
    func onLoad(_ hook: @escaping @Sendable (Int) throws -> Void) { state.withLock { $0.onLoad = hook } }
    func onStore(_ hook: @escaping @Sendable (Int) throws -> Void) { state.withLock { $0.onStore = hook } }

    func forgetCalls() {
        state.withLock { state in
            state.loads = []
            state.stores = []
            state.changed = [:]
            state.announced = []
        }
    }

    func changedPages(_ blk: Int) -> [Int]? { state.withLock { $0.changed[blk]?.pages } }

    func set(_ blk: Int, _ byte: UInt8) {
        state.withLock { $0.blocks[blk] = Array(repeating: byte, count: blockSize) }
    }

    /// A block shorter than `blockSize`: its tail is for the engine to fill.
    func set(_ blk: Int, bytes: [UInt8]) { state.withLock { $0.blocks[blk] = bytes } }

    func byte(_ blk: Int, _ offset: Int = 0) -> UInt8 { state.withLock { $0.blocks[blk]?[offset] ?? 0 } }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        // The bytes are those at the start of the call, whatever the hook does.
        let (bytes, hook) = state.withLock { state in
            state.loads.append(blk)
            return (state.blocks[blk] ?? [], state.onLoad)
        }
        try hook(blk)
        buffer.copyBytes(from: bytes)
    }

    var announced: [Announcement] { state.withLock { $0.announced } }

    func willStore(_ blks: Range<Int>, changedPages: [Int]) {
        state.withLock { state in
            state.announced.append(
                Announcement(
                    blocks: blks, changedPages: changedPages, storesBefore: state.stores.count))
        }
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        try state.withLock { $0.onStore }(blk)
        let copy = Array(bytes)
        state.withLock { state in
            state.stores.append(blk)
            state.changed[blk] = changed
            state.blocks[blk] = copy
        }
    }
}
