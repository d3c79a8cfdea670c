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
    private let dropped: [BlockID]
    private let thread = pthread_self()

    init(storage: LMDBStorage, tid: TID, write: LMDBWrite, dropped: [BlockID]) {
        self.storage = storage
        self.tid = tid
        self.write = write
        self.dropped = dropped
    }

    deinit { abort() }

    func finish() throws(StorageError) {
        guard pthread_equal(thread, pthread_self()) != 0 else {
            throw .protocolViolation("tpcVote and tpcFinish must be called on one thread")
        }
        guard let write = write.take() else { throw .protocolViolation("tpcFinish without a vote") }
        // Runs once the commit lock is free again.
        var isCommitted = false
        defer { if isCommitted { storage.tidy() } }
        defer { storage.commitLock.release() }
        CommitProbe.reach(.finishing)
        do throws(WriteFailure) {
            try write.commit()
        } catch {
            throw storage.environment.final(error)
        }
        CommitProbe.reach(.finished)
        isCommitted = true
        storage.forgetGarbage(dropped)
        storage.noteCommit()
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
