import Foundation
import Synchronization
import VirtMem

/// A backend whose changed blocks can leave memory before the commit: the place of
/// a block is in a temporary file, what was spilled hides what is committed, and
/// what was stored hides both once it is published.
///
/// It looks at each spill: one at a time, ascending, and no page that is not in
/// `changed` may differ from what the block shows without the change.
final class SpillFile: BigFile {
    enum Kind: CaseIterable, Sendable {
        /// Blocks are mapped from the temporary file.
        case extents
        /// Blocks are copied by `loadblk`.
        case copies
        /// Even numbers one way, odd ones the other.
        case mixed
    }

    struct State {
        var committed: [Int: Int] = [:]
        var spilled: [Int: Int] = [:]
        var stored: [Int: Int] = [:]
        /// Blocks of each call.
        var spills: [[Int]] = []
        var stores: [Int] = []
        var length = 0
        var spillsUnderWay = 0
        var complaints: [String] = []
        var onSpill: @Sendable ([Int]) throws -> Void = { _ in }
        var onStore: @Sendable (Int) throws -> Void = { _ in }
        var onLookup: @Sendable (Range<Int>) throws -> Void = { _ in }
    }

    let blockSize: Int
    let description: String
    let kind: Kind
    let spillable = Flag(true)
    private let descriptor: Int32
    private let state = Mutex(State())

    init(pages: Int = 16, kind: Kind = .extents, name: String = "spill file") throws {
        blockSize = pages * page
        description = name
        self.kind = kind
        descriptor = try DiskFile.makeUnnamed()
    }

    deinit { close(descriptor) }

    // MARK: For tests

    var spills: [[Int]] { state.withLock { $0.spills } }
    var stores: [Int] { state.withLock { $0.stores } }
    var complaints: [String] { state.withLock { $0.complaints } }
    func onSpill(_ hook: @escaping @Sendable ([Int]) throws -> Void) { state.withLock { $0.onSpill = hook } }
    func onStore(_ hook: @escaping @Sendable (Int) throws -> Void) { state.withLock { $0.onStore = hook } }
    func onLookup(_ hook: @escaping @Sendable (Range<Int>) throws -> Void) {
        state.withLock { $0.onLookup = hook }
    }

    /// Somebody else committed `bytes`, at most a block long.
    func set(_ blk: Int, bytes: [UInt8]) {
        let padded = bytes + [UInt8](repeating: 0, count: blockSize - bytes.count)
        let offset = padded.withUnsafeBytes { append($0) }
        state.withLock { state in
            state.committed[blk] = offset
            state.spilled[blk] = nil
        }
    }

    func set(_ blk: Int, _ byte: UInt8) { set(blk, bytes: Array(repeating: byte, count: blockSize)) }

    /// The transaction is committed: what was spilled and stored is the content.
    func publish() {
        state.withLock { state in
            state.committed.merge(state.spilled) { $1 }
            state.committed.merge(state.stored) { $1 }
            state.spilled = [:]
            state.stored = [:]
        }
    }

    /// The transaction is aborted. Returns what must be invalidated.
    func forgetSpilled() -> [Int] {
        state.withLock { state in
            defer {
                state.spilled = [:]
                state.stored = [:]
            }
            return state.spilled.keys.sorted()
        }
    }

    /// The committed bytes of a block.
    func committed(_ blk: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: blockSize)
        let place = state.withLock { $0.committed[blk] }
        bytes.withUnsafeMutableBytes { read(place, into: $0) }
        return bytes
    }

    // MARK: BigFile

    var canSpill: Bool { spillable.get() }

    func spillblks(_ blocks: [DirtyBlock]) throws {
        let numbers = blocks.map(\.number)
        let hook = state.withLock { state in
            state.spillsUnderWay += 1
            if state.spillsUnderWay > 1 { state.complaints.append("two spills at a time") }
            if numbers != Set(numbers).sorted() || numbers.isEmpty {
                state.complaints.append("spilled \(numbers)")
            }
            return state.onSpill
        }
        defer { state.withLock { $0.spillsUnderWay -= 1 } }
        try hook(numbers)
        for block in blocks {
            check(block)
            let offset = append(block.bytes)
            state.withLock { $0.spilled[block.number] = offset }
        }
        state.withLock { $0.spills.append(numbers) }
    }

    private func check(_ block: DirtyBlock) {
        var before = [UInt8](repeating: 0, count: blockSize)
        let place = state.withLock { $0.spilled[block.number] ?? $0.committed[block.number] }
        before.withUnsafeMutableBytes { bytes in
            read(place, into: bytes)
            for at in 0..<(blockSize / page) where !block.changed.contains(at) {
                let old = bytes.baseAddress! + at * page
                if memcmp(old, block.bytes.baseAddress! + at * page, page) != 0 {
                    state.withLock { $0.complaints.append("block \(block.number), page \(at) is not told") }
                }
            }
        }
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        try state.withLock { $0.onStore }(blk)
        let offset = append(bytes)
        state.withLock { state in
            state.stored[blk] = offset
            state.stores.append(blk)
        }
    }

    func sources(of blks: Range<Int>) throws -> [BlockSource] {
        try state.withLock { $0.onLookup }(blks)
        return state.withLock { state in
            blks.map { blk in
                guard let offset = state.spilled[blk] ?? state.committed[blk] else { return .hole }
                if kind == .copies || kind == .mixed && blk % 2 == 1 { return .load }
                return .extents([FileExtent(descriptor: descriptor, fileOffset: offset, length: blockSize)])
            }
        }
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        read(state.withLock { $0.spilled[blk] ?? $0.committed[blk] }, into: buffer)
    }

    private func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let offset = state.withLock { state in
            defer { state.length += bytes.count }
            return state.length
        }
        let count = pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
        precondition(count == bytes.count, "writing to the temporary file failed")
        return offset
    }

    private func read(_ place: Int?, into buffer: UnsafeMutableRawBufferPointer) {
        guard let place else { return }
        let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(place))
        precondition(count == buffer.count, "reading the temporary file failed")
    }
}
