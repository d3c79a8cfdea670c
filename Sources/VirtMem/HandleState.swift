/// What the engine knows of one open handle. All fields are protected by V.
final class HandleState {
    let id: UInt32
    let file: any BigFile
    /// The file's description, for messages: asking for it would be a call back under V.
    let name: String
    let blockSize: Int
    /// Blocks that fit in the reservation.
    let capacity: Int
    private let range: AddressRange

    var blocks: BlockMap<Block>
    /// Numbers of the blocks in state `dirty`.
    var dirty: Set<Int> = []
    /// Those of them that are not write-protected.
    var writable: Set<Int> = []
    let budget: BudgetState
    var isWritingOut = false
    /// A STORE began, or spilling was ended, since the last mark or discard.
    var hasStored = false
    /// Loads under way, also of blocks invalidated since.
    var activeLoads = 0
    /// The threads that load what nobody has asked for yet, and who waits for their end.
    var aheadLoaders: [UInt] = []
    var aheadWaiters: [Event] = []
    var windows = 0
    /// The thread that spills blocks of it, if one does.
    var spiller: UInt?
    /// Who waits for the end of that, and how many were woken and come next.
    var spillWaiters: [Event] = []
    var dueAfterSpill = 0
    /// The last reference went away while it was being spilled.
    var closesAfterSpill = false
    /// Scoped writes under way, from before their first block is dirty.
    var scopedWrites = 0
    /// Runs of mapped blocks.
    var runs = 0
    /// Pins of blocks that were made absent while somebody relied on them.
    var pinsOfAbsent: [Int: Int] = [:]

    var pattern = ReadPattern()

    init(
        id: UInt32, file: any BigFile, name: String, blockSize: Int, range: consuming AddressRange,
        budget: BudgetState
    ) {
        self.id = id
        self.file = file
        self.name = name
        self.blockSize = blockSize
        self.range = range
        self.budget = budget
        capacity = self.range.length / blockSize
        blocks = BlockMap(capacity: capacity)
    }

    var base: UnsafeMutableRawPointer { unsafe range.base }
    var length: Int { range.length }

    /// A load of it ended, well or not.
    func endLoad(_ ticket: LoadTicket) {
        guard let loader = ticket.aheadLoader else { return activeLoads -= 1 }
        aheadLoaders.firstIndex(of: loader).map { _ = aheadLoaders.remove(at: $0) }
        guard aheadLoaders.isEmpty else { return }
        for event in aheadWaiters { event.signal() }
        aheadWaiters = []
    }

    /// What is signalled when nothing is loaded ahead any more; nil if that is so now.
    func waitForAheadLoads() -> Event? {
        if aheadLoaders.isEmpty { return nil }
        let event = Event()
        aheadWaiters.append(event)
        return event
    }

    /// Whether a scoped access relies on any block.
    var hasPins: Bool {
        var found = !pinsOfAbsent.isEmpty
        blocks.forEach { _, block in found = found || block.pins > 0 }
        return found
    }

    func address(of block: Int) -> UnsafeMutableRawPointer { unsafe range.base + block * blockSize }

    /// A read fault loads `loading`: the sequence goes on at the next blocks on either
    /// side that are absent.
    func noteRead(_ loading: Range<Int>) {
        var (next, previous) = (loading.upperBound, loading.lowerBound - 1)
        for _ in 0..<ReadPattern.groupSize {
            if blocks[next] != nil { next += 1 }
            if blocks[previous] != nil { previous -= 1 }
        }
        pattern.continues(next: next, previous: previous)
    }

    /// Runs of adjacent numbers in ascending `numbers`, cut at `limit`.
    static func runs(_ numbers: some Sequence<Int>, ofAtMost limit: Int = .max) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for number in numbers {
            if let last = result.last, last.upperBound == number, last.count < limit {
                result[result.count - 1] = last.lowerBound..<(number + 1)
            } else {
                result.append(number..<(number + 1))
            }
        }
        return result
    }
}
