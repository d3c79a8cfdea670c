/// One block of one handle, from the start of its loading until it is absent
/// again. All fields are protected by V.
///
/// States: absent (no `Block`), loading, loaded, dirty. A block that is
/// invalidated while it loads leaves the map at once, and its loader finds
/// another block, or none, under its ticket's serial: loadingInvalidated.
final class Block {
    enum State { case loading, loaded, dirty }

    let number: Int
    let handle: UInt32
    /// Tells this loading from an earlier one of the same block number.
    let serial: UInt64
    var state: State = .loading

    /// Kernel mappings this block takes, for the budget.
    var areas = 0
    /// What it shows while nothing is written; stale once it is detached.
    var clean: LoadedContent?
    /// The frame of the RAM pool that holds its clean content, if one does.
    var frame: RAMPool.Frame?
    /// Scoped accesses that rely on it; it is not evicted meanwhile. They belong
    /// to the block number: when the block goes, the next one gets them.
    var pins = 0

    /// The private copies hold content that is stored, while the file shown
    /// under them is older. Until it is mapped anew, dropping the copies is not
    /// the way to clean content.
    var isDetached = false
    /// Detached, but the backend can load what the private copies hold: it may be evicted.
    var isReloadable = false
    /// Dirty, but write-protected since a writeout began, or to be measured or spilled.
    var isSealed = false
    /// Sealed to be measured, and not written to since.
    var isMeasured = false
    /// The backend takes its bytes; a write waits.
    var isSpilling = false
    /// When it became writable last: blocks not written to for long are spilled first.
    var writableSince: UInt64 = 0
    /// What it counts in the dirty budget.
    var dirtyBytes = 0
    /// `storeblk` has taken its bytes as they are.
    var isStored = false

    var waiters: [Waiter] = []

    var isEvictable: Bool { state == .loaded && pins == 0 && (!isDetached || isReloadable) }

    // Links of the recency list; see RecencyList.
    var older: Block?
    var newer: Block?
    var isListed = false

    init(number: Int, handle: UInt32, serial: UInt64) {
        self.number = number
        self.handle = handle
        self.serial = serial
    }
}

/// Evictable blocks of all handles, oldest fault first (behaviour B15, B21).
struct RecencyList {
    private(set) var oldest: Block?
    private var newest: Block?
    private(set) var count = 0

    mutating func append(_ block: Block) {
        if block.isListed { remove(block) }
        block.isListed = true
        block.older = newest
        newest?.newer = block
        newest = block
        if oldest == nil { oldest = block }
        count += 1
    }

    mutating func remove(_ block: Block) {
        guard block.isListed else { return }
        block.older?.newer = block.newer
        block.newer?.older = block.older
        if oldest === block { oldest = block.newer }
        if newest === block { newest = block.older }
        block.older = nil
        block.newer = nil
        block.isListed = false
        count -= 1
    }
}
