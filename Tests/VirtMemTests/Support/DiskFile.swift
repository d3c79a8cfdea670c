import Foundation
import Synchronization
import VirtMem

/// A backend over a real temporary file, whose blocks are extents of it.
///
/// What `storeblk` gets is kept beside, as a whole block, until `publish()`
/// appends it to the file and lets `sources` answer with the new place: the
/// order of a commit.
final class DiskFile: BigFile {
    struct State {
        var sources: [Int: BlockSource] = [:]
        var lookups: [Range<Int>] = []
        var loads: [Int] = []
        var stored: [Int: [UInt8]] = [:]
        var changed: [Int: PageSet] = [:]
        var length = 0
        var onLookup: @Sendable (Range<Int>) throws -> Void = { _ in }
    }

    let blockSize: Int
    let description = "disk file"
    let descriptor: Int32
    let state = Mutex(State())

    init(blockSize: Int = 16 * 4096) throws {
        self.blockSize = blockSize
        descriptor = try Self.makeUnnamed()
    }

    /// An open file that goes with its last descriptor.
    static func makeUnnamed() throws -> Int32 {
        var template = Array("/tmp/virtmem-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw MemoryFile.Failure(description: "mkstemp failed") }
        unlink(template)
        return descriptor
    }

    deinit { close(descriptor) }

    /// Appends bytes to the file; returns where they begin.
    @discardableResult
    func append(_ bytes: [UInt8]) -> Int {
        state.withLock { state in
            let offset = state.length
            var done = 0
            while done < bytes.count {
                let rest = bytes.count - done
                let count = bytes.withUnsafeBytes {
                    pwrite(descriptor, $0.baseAddress! + done, rest, off_t(offset + done))
                }
                precondition(count > 0, "writing to the temporary file failed")
                done += count
            }
            state.length += bytes.count
            return offset
        }
    }

    /// Says that block `blk` is `bytes`, at most a block long, appended to the file.
    func set(_ blk: Int, bytes: [UInt8]) {
        let extent = FileExtent(descriptor: descriptor, fileOffset: append(bytes), length: bytes.count)
        state.withLock { $0.sources[blk] = .extents([extent]) }
    }

    func set(_ blk: Int, _ byte: UInt8) { set(blk, bytes: Array(repeating: byte, count: blockSize)) }

    func set(_ blk: Int, source: BlockSource) { state.withLock { $0.sources[blk] = source } }

    func onLookup(_ hook: @escaping @Sendable (Range<Int>) throws -> Void) {
        state.withLock { $0.onLookup = hook }
    }

    /// Makes the stored blocks the content: the snapshot after a commit.
    func publish() {
        let stored = state.withLock { state in
            defer { state.stored = [:] }
            return state.stored
        }
        for (blk, bytes) in stored { set(blk, bytes: bytes) }
    }

    func changedPages(_ blk: Int) -> [Int]? { state.withLock { $0.changed[blk]?.pages } }
    func forgetChanges() { state.withLock { $0.changed = [:] } }
    var lookups: [Range<Int>] { state.withLock { $0.lookups } }
    var loads: [Int] { state.withLock { $0.loads } }

    /// The bytes of the file itself.
    func fileBytes(_ range: Range<Int>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = bytes.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, range.count, off_t(range.lowerBound))
        }
        precondition(count == range.count)
        return bytes
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        state.withLock { $0.loads.append(blk) }
        buffer.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: 200 + blk))
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        let copy = Array(bytes)
        state.withLock { state in
            state.stored[blk] = copy
            state.changed[blk] = changed
        }
    }

    func sources(of blks: Range<Int>) throws -> [BlockSource] {
        try state.withLock { $0.onLookup }(blks)
        return state.withLock { state in
            state.lookups.append(blks)
            return blks.map { state.sources[$0] ?? .hole }
        }
    }
}
