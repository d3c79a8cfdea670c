/// What a backend implements to be mapped by a ``FileHandle``.
///
/// All calls come without any lock of the engine held, on ordinary threads,
/// and several at a time. They must not touch memory of a mapping: a fault
/// there ends the process with a message.
public protocol BigFile: AnyObject, Sendable, CustomStringConvertible {
    /// Bytes in a block: a positive multiple of the system's page size.
    var blockSize: Int { get }

    /// Fills `buffer`, which is `blockSize` bytes of zeros, with block `blk`.
    ///
    /// A short fill leaves a tail of zeros. The buffer must not be kept.
    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws

    /// The same for a block that ``sources(of:)`` has just given this key. Returns whether the bytes are those
    /// that the key names; if the backend's snapshot has moved on meanwhile they may be newer,
    /// and other handles must not get them under the key. The default says yes.
    func loadblk(_ blk: Int, of key: FrameKey, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool

    /// Takes the bytes of dirty block `blk`.
    ///
    /// `changed` holds the pages written since the block was last clean. Calls
    /// come in ascending block order. The bytes are the mapped memory itself,
    /// write-protected for the time of the call, and must not be kept.
    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws

    /// Says what comes next: a run of dirty blocks, 64 or 64 MiB at most, and how many pages
    /// of each were changed, so that room can be made for all of them together.
    ///
    /// Called right before the `storeblk` calls of the run. Blocks with 0 changed
    /// pages get no such call, nor do those after one that failed. The default does
    /// nothing.
    func willStore(_ blks: Range<Int>, changedPages: [Int])

    /// Whether ``spillblks(_:)`` works at the moment. The default says no.
    var canSpill: Bool { get }

    /// Takes changed blocks before their transaction ends, because a ``DirtyBudget``
    /// is used up or ``FileHandle/spillAll()`` asks for it.
    ///
    /// From its return on ``sources(of:)``, and where that says so ``loadblk(_:into:)``, have the
    /// content given here, until the backend drops it at the end of the transaction
    /// and the client invalidates the blocks. A block that is changed again, or
    /// whose place ``sources(of:)`` could not tell, comes again, here or in
    /// ``storeblk(_:bytes:changed:)``.
    ///
    /// The blocks are of one handle, ascending, about 64 MiB of changes at most; of
    /// several handles that share a budget one is asked at a time. A handle is not asked
    /// during a writeout, nor between STORE and MARKSTORED.
    ///
    /// It runs on the thread that goes past the budget: any thread that
    /// changes a block of any handle of the budget. While it runs, writes to these blocks
    /// wait for its end, as do discard, invalidation, writeout and close of the handle.
    /// So it must not wait for a lock that somebody holds who changes mapped memory or
    /// calls those, and must not call them itself.
    func spillblks(_ blocks: [DirtyBlock]) throws

    /// Where the clean content of each block of `blks` can be mapped from.
    ///
    /// The answer holds for the backend's current snapshot. The default sends
    /// every block through ``loadblk(_:into:)``.
    func sources(of blks: Range<Int>) throws -> [BlockSource]
}

extension BigFile {
    /// Content that has a key stays what it is.
    public func loadblk(_ blk: Int, of key: FrameKey, into buffer: UnsafeMutableRawBufferPointer) throws
        -> Bool
    {
        try unsafe loadblk(blk, into: buffer)
        return true
    }

    /// Nothing to prepare.
    public func willStore(_ blks: Range<Int>, changedPages: [Int]) {}

    /// Changes stay in memory.
    public var canSpill: Bool { false }

    /// Refused.
    public func spillblks(_ blocks: [DirtyBlock]) throws { throw CannotSpill() }

    /// No zero-copy: every block is loaded into memory of the engine.
    public func sources(of blks: Range<Int>) throws -> [BlockSource] {
        Array(repeating: .load, count: blks.count)
    }
}

/// A changed block that is being spilled.
@unsafe
public struct DirtyBlock {
    /// The block's number.
    public let number: Int
    /// All of its bytes: the mapped memory itself, write-protected during the call.
    /// They must not be kept.
    public let bytes: UnsafeRawBufferPointer
    /// The pages written since the block was last clean, perhaps more.
    public let changed: PageSet
}

private struct CannotSpill: Error, CustomStringConvertible {
    let description = "this kind of file takes changes at a writeout only"
}

/// Where a block's clean content comes from.
public enum BlockSource: Sendable, Equatable {
    /// The block was never stored: it reads as zeros.
    case hole
    /// The block is made of these extents, in ascending `blockOffset` without
    /// overlap; what they leave out reads as zeros.
    case extents([FileExtent])
    /// The block can only be had through ``BigFile/loadblk(_:into:)``.
    case load
    /// The same, and every block of any handle with this key has the same
    /// content, so that one copy in memory serves all of them.
    case loadShared(FrameKey)

    var isLoad: Bool {
        switch self {
        case .load, .loadShared: true
        case .hole, .extents: false
        }
    }
}

/// Names content that never changes, within the process.
public struct FrameKey: Hashable, Sendable {
    /// Which store the content is from.
    public let domain: UInt64
    /// Which content of that store.
    public let content: UInt64
    /// Which version of it.
    public let revision: UInt64

    /// The key of a version of `content` of the store `domain`.
    public init(domain: UInt64, content: UInt64, revision: UInt64 = 0) {
        self.domain = domain
        self.content = content
        self.revision = revision
    }
}

/// A run of pages of an open file.
public struct FileExtent: Sendable, Equatable {
    /// The descriptor to map from. It must stay open until the block is mapped.
    public var descriptor: Int32
    /// Where the run begins in the file: bytes, a multiple of the page size.
    public var fileOffset: Int
    /// Its length: bytes, a multiple of the page size.
    public var length: Int
    /// Where it belongs in the block: bytes, a multiple of the page size.
    public var blockOffset: Int

    /// An extent of `length` bytes at `fileOffset` of the file, shown at `blockOffset` of the block.
    public init(descriptor: Int32, fileOffset: Int, length: Int, blockOffset: Int = 0) {
        self.descriptor = descriptor
        self.fileOffset = fileOffset
        self.length = length
        self.blockOffset = blockOffset
    }
}

/// What `writeout` does: store the dirty blocks, mark them clean, or both.
public struct WriteoutFlags: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// Flags with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Calls `storeblk` for every dirty block, in ascending order. They stay dirty.
    public static let store = WriteoutFlags(rawValue: 1)
    /// Turns dirty blocks into loaded ones. Cannot fail.
    public static let markStored = WriteoutFlags(rawValue: 2)
}
