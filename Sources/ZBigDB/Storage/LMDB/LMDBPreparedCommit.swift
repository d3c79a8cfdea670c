#if canImport(Glibc)
    internal import Glibc
#endif

// What `vote` returns: a yes, to be finished or aborted.

/// A vote of a transaction that changes nothing and relies on what it read.
final class CheckedCommit: PreparedCommit {
    let tid: TID? = nil
    private let storage: LMDBStorage
    private var isOpen = true

    init(storage: LMDBStorage) { self.storage = storage }

    deinit { abort() }

    func finish() throws(StorageError) {
        guard isOpen else { throw .protocolViolation("tpcFinish without a vote") }
        abort()
    }

    func abort() {
        guard isOpen else { return }
        isOpen = false
        storage.commitLock.release()
    }
}

/// A vote whose LMDB transaction is open. Bound to the thread that voted.
final class OpenCommit: PreparedCommit {
    let tid: TID?
    private let storage: LMDBStorage
    private var write: LMDBWrite?
    /// What the journal takes; nil: the commit is flushed.
    private let entries: [[UInt8]]?
    private let dropped: [BlockID]
    private let thread = pthread_self()

    init(storage: LMDBStorage, tid: TID, write: LMDBWrite, entries: [[UInt8]]?, dropped: [BlockID]) {
        self.storage = storage
        self.tid = tid
        self.write = write
        self.entries = entries
        self.dropped = dropped
    }

    deinit { abort() }

    func finish() throws(StorageError) {
        guard pthread_equal(thread, pthread_self()) != 0 else {
            throw .protocolViolation("tpcVote and tpcFinish must be called on one thread")
        }
        guard let write = write.take() else { throw .protocolViolation("tpcFinish without a vote") }
        if let ticket = try flip(write) {
            CommitProbe.reach(.appended)
            try storage.environment.journal.wait(for: ticket, storage.environment)
        }
        storage.noteCommit()
        storage.tidy()
    }

    /// Makes it visible, and durable unless there is a place in the journal to wait for.
    private func flip(_ write: LMDBWrite) throws(StorageError) -> LMDBJournal.Ticket? {
        defer { storage.commitLock.release() }
        CommitProbe.reach(.finishing)
        do throws(WriteFailure) {
            try write.commit(entries == nil ? .flushed : .journaled)
        } catch {
            throw storage.environment.final(error)
        }
        let ticket = entries.flatMap { storage.environment.journal.append($0) }
        CommitProbe.reach(.finished)
        storage.forgetGarbage(dropped)
        return ticket
    }

    func abort() {
        guard let write = write.take() else { return }
        write.abort()
        storage.commitLock.release()
    }
}

/// A vote that is on the disk.
final class DurableCommit: PreparedCommit {
    let tid: TID?
    private let storage: LMDBStorage
    private let id: TransactionID
    private var isOpen = true

    init(storage: LMDBStorage, tid: TID, id: TransactionID) {
        self.storage = storage
        self.tid = tid
        self.id = id
    }

    deinit { abort() }

    func finish() throws(StorageError) {
        guard isOpen else { throw .protocolViolation("tpcFinish without a vote") }
        isOpen = false
        // If the flip fails the transaction stays prepared, to be decided later.
        defer { storage.commitLock.release() }
        CommitProbe.reach(.finishing)
        try storage.decide(id, tid: tid, commit: true)
        CommitProbe.reach(.finished)
    }

    func abort() {
        guard isOpen else { return }
        isOpen = false
        defer { storage.commitLock.release() }
        // Not dropped now means in doubt, and `resolve` drops it.
        try? storage.decide(id, tid: tid, commit: false)
    }
}
