/// What a thread wants to do with a block.
enum Access: Sendable { case read, write }

/// A run of blocks in state `loading`, and what to do once they are loaded.
struct LoadTicket: Sendable {
    let handle: UInt32
    let file: any BigFile
    let serial: UInt64
    /// The blocks, ascending and adjacent.
    var blocks: Range<Int>
    /// Those of them that somebody waits for. The others are taken along if that
    /// costs no copy.
    var demanded: Range<Int>
    let access: Access
    let pin: Bool
    /// What is read next is known: the kernel may read ahead.
    let isSequential: Bool
    /// The thread that loads the blocks before anybody has asked for them.
    var aheadLoader: UInt?
    /// Where block 0 of the file lies.
    let base: UInt
    /// Blocks of which every byte is going to be written, as far as one can tell.
    var filled = 0..<0
}

/// What to show for a block of a ticket.
enum LoadedContent: Sendable {
    case hole
    /// A hole that is about to be filled: memory of its own from the start, in
    /// large pages, instead of a copy of the file of zeros page by page.
    case zeros
    case extents([FileExtent])
    case frame(RAMPool.Frame)
    /// A block that was only taken along, and would need a copy: leave it absent.
    case skipped
}
