internal import Dispatch
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Brings together transactions that are ready to commit at the same time: who finds nobody leading
/// leads, and commits for those who come meanwhile and wait.
///
/// So a commit is one wake of a thread for who waits, instead of one for each lock and the flush, and
/// one LMDB transaction does for all of them.
final class CommitQueue: Sendable {
    /// What a thread that waits is woken for.
    enum Turn: Sendable {
        /// To commit for itself, and for those who wait.
        case lead
        /// Its transaction is committed, or cannot be; without a tid if it changes nothing.
        case done(Result<TID?, any Error>)
        /// To commit for itself only.
        case alone
    }

    /// A transaction that is ready, and the thread that waits for its end.
    final class Member: Sendable {
        let request: CommitRequest
        let contents: LMDBBlockWriter.Contents
        private let turn = Mutex<Turn?>(nil)
        private let isAlone = Atomic(false)
        private let wake = DispatchSemaphore(value: 0)

        init(_ request: CommitRequest, _ contents: LMDBBlockWriter.Contents) {
            self.request = request
            self.contents = contents
        }

        /// Whether block records were written for it, or have to be.
        var storesBlocks: Bool { !contents.kept.isEmpty || !contents.written.isEmpty }

        /// What it adds to an LMDB transaction, roughly, in bytes; nil if it wants one for itself.
        fileprivate var weight: Int? {
            if isAlone.load(ordering: .relaxed) || !contents.written.isEmpty { return nil }
            return contents.keptBytes + request.recordBytes
        }

        /// Says what becomes of it; ``wakeUp()`` lets its thread know.
        func decide(_ turn: Turn) { self.turn.withLock { $0 = turn } }
        var decision: Turn? { turn.withLock { $0 } }
        func wakeUp() { wake.signal() }

        fileprivate func wait() -> Turn? {
            wake.wait()
            return turn.withLock { $0.take() }
        }

        fileprivate func standAlone() { isAlone.store(true, ordering: .relaxed) }
    }

    private struct State {
        var isLed = false
        /// Groups that somebody commits or waits for the disk for.
        var underWay = 0
        var waiting: [Member] = []

        var mayBegin: Bool { !isLed && underWay < CommitQueue.mostUnderWay }

        mutating func begin() {
            isLed = true
            underWay += 1
        }
    }

    /// One is committed while the one before it is written to the disk. A third would have to wait for the disk
    /// longer than for others to join it.
    private static let mostUnderWay = 2
    private static let mostMembers = 64
    /// How much is committed together. What does not fit into the map is tried again one by one.
    private static let mostWeight = 1 << 20

    private let lock = Lock()
    // Touched under the lock only.
    nonisolated(unsafe) private var state = State()

    private func locked<R>(_ body: (inout State) -> R) -> R { lock { unsafe body(&state) } }

    /// How many wait.
    var count: Int { locked { $0.waiting.count } }

    /// Returns when the member is to lead, or its transaction has ended. Who leads calls ``members(with:)``
    /// and then ``pass()``.
    func join(_ member: Member) -> Turn {
        while true {
            let mayLead = locked { state in
                if state.mayBegin {
                    state.begin()
                    return true
                }
                state.waiting.append(member)
                return false
            }
            if mayLead { return .lead }
            switch member.wait() {
            case .done(let result): return .done(result)
            case .lead, nil: return .lead
            case .alone: member.standAlone()
            }
        }
    }

    /// While another group is on its way to the disk, those that have just come from there run first if they can: who is
    /// quick with the next transaction joins this group. Measured with eight writers: groups of 6.7 in place of 3.2.
    func letOthersJoin() {
        if locked({ $0.underWay > 1 }) { sched_yield() }
    }

    /// Who is committed together: the one that leads, and those who wait and fit.
    func members(with leader: Member) -> [Member] {
        guard var weight = leader.weight else { return [leader] }
        return locked { state in
            let fitting = state.waiting.prefix(Self.mostMembers - 1).prefix { member in
                guard let more = member.weight, weight + more <= Self.mostWeight else { return false }
                weight += more
                return true
            }
            state.waiting.removeFirst(fitting.count)
            return [leader] + fitting
        }
    }

    /// A group is committed: the next one may be.
    func pass() { leadNext { $0.isLed = false } }

    /// All of a group know of it.
    func end() { leadNext { $0.underWay -= 1 } }

    private func leadNext(_ change: (inout State) -> Void) {
        let next = locked { state -> Member? in
            change(&state)
            guard state.mayBegin, !state.waiting.isEmpty else { return nil }
            state.begin()
            return state.waiting.removeFirst()
        }
        next?.decide(.lead)
        next?.wakeUp()
    }
}
