internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// How much changed memory the handles that share it may hold before changed
/// blocks are spilled, so that a transaction may change more than fits in memory.
///
/// A block that can be written to counts as a whole. Before anything is spilled,
/// the engine write-protects such blocks and counts the pages that were really
/// written; the next write to one makes it count as a whole again. The copy that
/// ``BigFile/loadblk(_:into:)`` made of a changed block counts too.
///
/// The limit is passed where there is no choice: by blocks in scoped access, by
/// files that cannot spill, and while changes are being written out.
public final class DirtyBudget: Sendable {
    private let limitInBytes: Atomic<Int>
    private let used = Atomic(0)
    private let blocksSpilled = Atomic(0)
    private let bytesSpilled = Atomic(0)
    private let timesMeasured = Atomic(0)

    /// A budget of `bytes` bytes of changed memory.
    public init(bytes: Int) { limitInBytes = Atomic(bytes) }

    /// How many bytes may be changed; a new value counts from the next write on.
    public var limit: Int {
        get { limitInBytes.load(ordering: .relaxed) }
        set { limitInBytes.store(newValue, ordering: .relaxed) }
    }

    /// Bytes of changed memory, as far as it is known: too much rather than too little.
    public var usedBytes: Int { used.load(ordering: .relaxed) }

    /// Blocks spilled so far; one that was changed and spilled again counts again.
    public var spilledBlocks: Int { blocksSpilled.load(ordering: .relaxed) }

    /// Bytes of changed pages spilled so far.
    public var spilledBytes: Int { bytesSpilled.load(ordering: .relaxed) }

    /// How often the writable blocks were measured.
    var measurements: Int { timesMeasured.load(ordering: .relaxed) }

    func add(_ bytes: Int) { used.wrappingAdd(bytes, ordering: .relaxed) }

    func countSpilled(blocks: Int, bytes: Int) {
        blocksSpilled.wrappingAdd(blocks, ordering: .relaxed)
        bytesSpilled.wrappingAdd(bytes, ordering: .relaxed)
    }

    func countMeasurement() { timesMeasured.wrappingAdd(1, ordering: .relaxed) }
}

/// What V protects of a dirty budget.
final class BudgetState {
    let budget: DirtyBudget
    /// Open handles that share it.
    var handles = 0
    /// The thread that makes room or spills, if one does.
    var maker: UInt?
    /// Whoever waits for the end of that.
    var waiters: [Waiter] = []
    /// Up to here the limit may be passed, because not enough could be spilled.
    var passedUntil = 0

    init(_ budget: DirtyBudget) { self.budget = budget }

    var isPassedFrom: Int { max(budget.limit, passedUntil) }
}

/// A thread's duty to make room in a budget, which others wait for.
struct RoomRequest: Sendable {
    let budget: DirtyBudget
    let bytes: Int
}

/// Tells the calling thread from others.
func currentThread() -> UInt {
    #if canImport(Glibc)
        UInt(pthread_self())
    #else
        unsafe UInt(bitPattern: pthread_self())
    #endif
}
