internal import Dispatch
internal import Synchronization

/// Waits for commits, of this process and of others, and reads them from the log.
///
/// Commits of this process say so. For those of others it looks at the last tid, ten times a second and
/// only while somebody waits. It keeps nothing for whoever waits: each reads on from where it was.
final class ChangeWatch: Sendable {
    /// Log entries read at once.
    static let mostAtOnce = 64

    /// Some changes, and the last transaction looked at.
    struct Batch: Sendable {
        let changes: [CommittedChange]
        let position: TID
        let isAtEnd: Bool
    }

    private struct Waiter {
        let after: TID
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var nextID: UInt64 = 0
        /// Counts the commits of this process.
        var commits: UInt64 = 0
        var isPolling = false
        var isClosed = false
    }

    // Locked while it is used: who closes the database may open the file again right away.
    private let storage: Mutex<(any RecordStorage)?>
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "zbigdb.changes")
    private let interval: DispatchTimeInterval

    init(_ storage: any RecordStorage, interval: DispatchTimeInterval) {
        self.storage = Mutex(storage)
        self.interval = interval
    }

    /// The next changes behind `start`; waits until there are some. Nil if the task is cancelled or the
    /// database closed.
    func changes(after start: TID, _ filter: ChangeFilter) async throws -> Batch? {
        var position = start
        while !Task.isCancelled {
            let commits = state.withLock { $0.commits }
            guard let batch = try await read(after: position, filter) else { return nil }
            if !batch.changes.isEmpty { return batch }
            position = batch.position
            if batch.isAtEnd { await wait(after: position, since: commits) }
        }
        return nil
    }

    /// Reads on the queue, not on one of the threads that tasks share.
    private func read(after position: TID, _ filter: ChangeFilter) async throws -> Batch? {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(with: Result { try self.batch(after: position, filter) })
            }
        }
    }

    private func batch(after position: TID, _ filter: ChangeFilter) throws -> Batch? {
        try storage.withLock { storage in
            guard let storage else { return nil }
            let snapshot = try storage.openSnapshot()
            guard let records = try snapshot.transactions(after: position, limit: Self.mostAtOnce) else {
                throw ChangesForgotten(path: storage.path, after: position)
            }
            return Batch(
                changes: records.compactMap { CommittedChange($0, filter, path: storage.path) },
                position: records.last?.tid ?? max(position, snapshot.tid), isAtEnd: records.isEmpty)
        }
    }

    // MARK: Waiting

    /// Returns when there may be something behind `tid`, or `commits` is no more how many there were.
    private func wait(after tid: TID, since commits: UInt64) async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isIn, mustPoll) = state.withLock { state in
                    if state.isClosed || state.commits != commits || Task.isCancelled {
                        return (false, false)
                    }
                    state.waiters[id] = Waiter(after: tid, continuation: continuation)
                    defer { state.isPolling = true }
                    return (true, !state.isPolling)
                }
                if mustPoll { schedulePoll() }
                if !isIn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    private func schedulePoll() {
        queue.asyncAfter(deadline: .now() + interval) { [weak self] in self?.poll() }
    }

    private func poll() {
        // An error is for those who wait: they meet it when they read.
        let last = isWaitedFor ? storage.withLock { try? $0?.openSnapshot().tid } ?? .largest : .zero
        let (ready, goesOn) = state.withLock { state in
            let ready = state.waiters.filter { $0.value.after < last }
            for id in ready.keys { state.waiters[id] = nil }
            state.isPolling = !state.waiters.isEmpty
            return (Array(ready.values), state.isPolling)
        }
        for waiter in ready { waiter.continuation.resume() }
        if goesOn { schedulePoll() }
    }

    /// Whether anybody waits; otherwise it soon stops looking.
    var isWaitedFor: Bool { state.withLock { !$0.waiters.isEmpty } }
    /// Whether it looks for commits of other processes.
    var isPolling: Bool { state.withLock { $0.isPolling } }

    /// Wakes who waits, after a commit of this process.
    func didCommit() { wake { $0.commits += 1 } }

    /// Ends all observation. Nothing is read any more when it returns.
    func close() {
        storage.withLock { $0 = nil }
        wake { $0.isClosed = true }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.continuation.resume() }
    }
}
