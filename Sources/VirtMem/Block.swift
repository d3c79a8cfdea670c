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
    /// The same, also if it was written to since.
    var wasStored = false
    /// The private copies it then had; nil if that is not known.
    var written: PageSet?

    var waiters: [Waiter] = []

    var isEvictable: Bool { state == .loaded && pins == 0 && (!isDetached || isReloadable) }

    // Its place in the recency list; see RecencyList.
    fileprivate(set) var older: Block?
    fileprivate(set) var newer: Block?
    fileprivate var place: RecencyList.Place?
    fileprivate var age: UInt64 = 0
    var isListed: Bool { place != nil }

    init(number: Int, handle: UInt32, serial: UInt64) {
        self.number = number
        self.handle = handle
        self.serial = serial
    }
}

/// Evictable blocks of all handles, oldest fault first (behaviour B15, B21).
///
/// Those with frames of the RAM pool have a list of their own, so that the oldest of
/// them is at hand, however many blocks without frames are older.
struct RecencyList {
    fileprivate enum Place { case mapped, framed }

    private struct Ends {
        var oldest: Block?
        var newest: Block?
    }

    private var mapped = Ends()
    private var framed = Ends()
    private var nextAge: UInt64 = 0
    private(set) var count = 0

    /// The oldest block that holds a frame.
    var oldestFramed: Block? { framed.oldest }

    /// The oldest block of all.
    var oldest: Block? { Self.older(mapped.oldest, framed.oldest) }

    /// The oldest blocks, oldest first: up to `limit` of them, and none after the first
    /// for which `isEnough` holds.
    func prefix(_ limit: Int, until isEnough: (Block) -> Bool = { _ in false }) -> [Block] {
        var result: [Block] = []
        var (one, other) = (mapped.oldest, framed.oldest)
        while result.count < limit, let block = Self.older(one, other) {
            if block === one { one = block.newer } else { other = block.newer }
            result.append(block)
            if isEnough(block) { break }
        }
        return result
    }

    mutating func append(_ block: Block) {
        remove(block)
        block.age = nextAge
        nextAge += 1
        count += 1
        if block.frame == nil {
            block.place = .mapped
            Self.append(block, &mapped)
        } else {
            block.place = .framed
            Self.append(block, &framed)
        }
    }

    mutating func remove(_ block: Block) {
        switch block.place {
        case nil: return
        case .mapped: Self.remove(block, &mapped)
        case .framed: Self.remove(block, &framed)
        }
        block.place = nil
        count -= 1
    }

    private static func older(_ one: Block?, _ other: Block?) -> Block? {
        guard let one, let other else { return one ?? other }
        return one.age < other.age ? one : other
    }

    private static func append(_ block: Block, _ ends: inout Ends) {
        block.older = ends.newest
        ends.newest?.newer = block
        ends.newest = block
        if ends.oldest == nil { ends.oldest = block }
    }

    private static func remove(_ block: Block, _ ends: inout Ends) {
        block.older?.newer = block.newer
        block.newer?.older = block.older
        if ends.oldest === block { ends.oldest = block.newer }
        if ends.newest === block { ends.newest = block.older }
        block.older = nil
        block.newer = nil
    }
}
