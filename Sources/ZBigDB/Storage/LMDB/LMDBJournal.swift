internal import CLMDB

#if canImport(Dispatch)
    internal import Dispatch
#endif
#if canImport(Glibc)
    internal import Glibc
#endif

/// Makes small commits durable with one write to the journal, in place of two flushes of a file
/// that is changed in many places.
///
/// While the journal is active, LMDB commits without flushing. What is on the disk is then the
/// *checkpoint*, the last state that was flushed, and the entries since. The checkpoint cannot be
/// overwritten, because a read transaction, the *pin*, is open at it. After a power cut its
/// meta page is put back and the entries are committed once more.
///
/// - Only small commits are entries. Whatever else must be durable is a checkpoint of its own.
/// - A transaction that stores much ahead of its commit begins a journal without entries: until its
///   flip, a checkpoint, nothing of it has to be durable.
/// - Only the one process that has the file open for writing has an active journal. Who else opens it
///   makes a checkpoint and ends that.
/// - Whatever is said here about the file changes with LMDB's writer lock held. Entries come in
///   the order of commits because the commit lock is held until they are appended; who waits for
///   the disk holds neither, and writes what all others have appended along.
final class LMDBJournal: Sendable {
    /// A place in the journal that has to be on the disk.
    struct Ticket: Sendable {
        fileprivate let sequence: UInt64
        fileprivate let end: Int
    }

    // Times are in nanoseconds.
    /// So many small commits, each within `pause` of the one before, begin a journal.
    private static let commitsToBegin = 8
    private static let pause: UInt64 = 500_000_000
    /// A journal without commits for so long ends.
    private static let idleAfter: UInt64 = 2_000_000_000
    /// A checkpoint comes after so many LMDB commits, or bytes of entries: until then no page is used again.
    private static let mostCommits = 64
    static let mostBytes = 1 << 20
    /// And after so many bytes of blocks stored ahead of their transactions, which may have replaced others.
    static let mostBytesAhead = 1 << 30

    private struct State {
        var file: JournalFile?
        var isUnavailable = false
        var isClosed = false
        /// Of the header that this process wrote last.
        var sequence: UInt64 = 0
        /// Open while the journal is active.
        var pin: LMDBPin?
        var isActive: Bool { pin != nil }
        /// Up to where there are entries, and up to where they are on the disk; in between is `pending`.
        var end = JournalFile.firstEntry
        var durable = JournalFile.firstEntry
        var pending: [UInt8] = []
        var count = 0
        var bytesAhead = 0
        /// The queue is going to write them.
        var isWriteoutDue = false
        /// What flushing in the background failed with: then there are no checkpoints any more.
        var writeoutFailure: Int32 = 0
        /// Somebody writes to the journal.
        var isBusy = false
        var streak = 0
        var lastCommit: UInt64 = 0

        /// After a header with this number: without entries, and without a journal if there is no pin.
        mutating func restart(_ sequence: UInt64, _ pin: LMDBPin?) {
            self.sequence = sequence
            self.pin = pin
            (end, durable) = (JournalFile.firstEntry, JournalFile.firstEntry)
            pending = []
            count = 0
            bytesAhead = 0
        }
    }

    private let path: String
    private let monitor = Monitor()
    // Touched under the monitor only.
    nonisolated(unsafe) private var state = State()
    #if canImport(Dispatch)
        private let queue = DispatchQueue(label: "zbigdb.journal", qos: .utility)
    #endif

    init(ofDatabase path: String) { self.path = JournalFile.path(of: path) }

    /// For what does not wait: nobody else touches the state meanwhile.
    private func locked<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        try monitor { () throws(E) -> R in unsafe try body(&state) }
    }

    // MARK: Commits

    /// Whether LMDB may commit without flushing. With its writer lock held.
    func isActive(_ environment: LMDBEnvironment) -> Bool {
        let (isActive, sequence, file) = locked { ($0.isActive, $0.sequence, $0.file) }
        guard isActive, let file else { return false }
        do throws(StorageError) {
            if try !file.mayHaveHeader(after: sequence) { return true }
            if try file.header()?.sequence == sequence { return true }
            // Another process has opened the file and flushed it.
        } catch {
            // Nobody knows whose journal it is: without a flush of its own the file may not go on without.
            if (try? flush(environment)) == nil { return true }
        }
        end()
        return false
    }

    /// Whether small commits become entries; begins a journal where it pays. With the commit lock and
    /// LMDB's writer lock held.
    func isWanted(_ environment: LMDBEnvironment) -> Bool {
        let isQuick = locked { state in
            // Read under the lock, or another thread's time could be the later one.
            let now = Self.now()
            state.streak = now - state.lastCommit < Self.pause ? state.streak + 1 : 0
            state.lastCommit = now
            return state.streak >= Self.commitsToBegin
        }
        // The pin keeps pages that a full file needs.
        if environment.isNearlyFull { return false }
        return isActive(environment) || (isQuick && begin(environment))
    }

    /// Whether there is room for these entries before the next checkpoint.
    func takes(_ entries: [[UInt8]]) -> Bool {
        let size = entries.reduce(0) { $0 + JournalFile.framedSize($1.count) }
        return locked { state in
            state.count < Self.mostCommits
                && state.end + size <= JournalFile.firstEntry + Self.mostBytes
        }
    }

    /// Adds the entries of an LMDB commit that has just happened. With the commit lock held. Nil if a
    /// checkpoint has made the commit durable already.
    func append(_ entries: [[UInt8]]) -> Ticket? {
        locked { state in
            guard state.isActive else { return nil }
            for bytes in entries {
                state.pending += JournalFile.framed(bytes, sequence: state.sequence, at: state.end)
                state.end += JournalFile.framedSize(bytes.count)
            }
            state.count += 1
            return Ticket(sequence: state.sequence, end: state.end)
        }
    }

    /// Returns when the entry, and thus all before it, is on the disk.
    func wait(for ticket: Ticket, _ environment: LMDBEnvironment) throws(StorageError) {
        while let (file, bytes, offset) = takePending(ticket) {
            do throws(StorageError) {
                try file.write(entries: bytes, at: offset)
                release { state in state.durable = offset + bytes.count }
            } catch {
                release { state in state.pending = bytes + state.pending }
                // The database file itself may still take it.
                try checkpoint(environment)
            }
        }
    }

    /// What the caller has to write; nil if the ticket's entry is on the disk.
    private func takePending(_ ticket: Ticket) -> (JournalFile, [UInt8], Int)? {
        monitor {
            while true {
                if unsafe ticket.sequence != state.sequence || state.durable >= ticket.end { return nil }
                if unsafe !state.isBusy { break }
                monitor.wait()
            }
            guard let file = unsafe state.file else { return nil }
            unsafe state.isBusy = true
            defer { unsafe state.pending = [] }
            return unsafe (file, state.pending, state.durable)
        }
    }

    private func release(_ body: (inout State) -> Void) {
        locked { state in
            body(&state)
            state.isBusy = false
            monitor.notifyAll()
        }
    }

    // MARK: Blocks ahead of their transactions

    /// Before so many bytes of blocks are stored that no commit names yet. With no lock held.
    func makeRoom(forBlocks bytes: Int, _ environment: LMDBEnvironment) throws(StorageError) {
        let isDue = locked { state in
            state.lastCommit = Self.now()
            state.bytesAhead += bytes
            return state.isActive && state.bytesAhead > Self.mostBytesAhead
        }
        // The pin keeps pages that a full file needs.
        if environment.isNearlyFull { return try checkpoint(environment, isLast: true) }
        if isDue { try checkpoint(environment) }
    }

    /// Sees to it, where that is possible, that such blocks take no flush. With LMDB's writer lock held,
    /// and nothing written.
    func beginForBlocks(_ environment: LMDBEnvironment) {
        if !environment.isNearlyFull, !isActive(environment) { begin(environment) }
    }

    /// Has such blocks flushed in the background, so that the flush in the end waits for the last of them only.
    func startWriteout(_ environment: LMDBEnvironment) {
        #if canImport(Dispatch)
            let isNeeded = locked { state in
                defer { state.isWriteoutDue = state.isActive }
                return state.isActive && !state.isWriteoutDue
            }
            if !isNeeded { return }
            // The file is open until the queue is empty.
            queue.async { [self, descriptor = environment.descriptor] in
                locked { $0.isWriteoutDue = false }
                if fdatasync(descriptor) != 0 { noteWriteout(failure: errno) }
            }
        #endif
    }

    /// The system says once that it could not write, and takes it for written afterwards.
    func noteWriteout(failure code: Int32) { locked { $0.writeoutFailure = code } }

    /// Puts everything on the disk, if nothing was lost on the way there.
    private func flush(_ environment: LMDBEnvironment) throws(StorageError) {
        try environment.flush()
        let code = locked { $0.writeoutFailure }
        if code != 0 { throw LMDBCode.error(code, environment.path, "flushing") }
    }

    // MARK: Checkpoints

    /// Makes everything durable that is committed, in the database file itself.
    ///
    /// - Parameter isLast: whether the journal ends with it.
    func checkpoint(_ environment: LMDBEnvironment, isLast: Bool = false) throws(StorageError) {
        // Nothing is committed meanwhile.
        let write = try LMDBWrite(environment)
        defer { write.abort() }
        guard isActive(environment) else { return }
        let (file, sequence) = monitor {
            while unsafe state.isBusy { monitor.wait() }
            unsafe state.isBusy = true
            return unsafe (state.file, state.sequence)
        }
        do throws(StorageError) {
            let pin = isLast ? nil : try LMDBPin(environment)
            try flush(environment)
            CommitProbe.reach(.flushed)
            let checkpoint = isLast ? nil : try Self.checkpoint(of: environment)
            try file?.write(JournalHeader(sequence: sequence + 1, checkpoint: checkpoint))
            release { $0.restart(sequence + 1, pin) }
        } catch {
            release { _ in }
            throw error
        }
    }

    private static func checkpoint(of environment: LMDBEnvironment) throws(StorageError)
        -> JournalHeader.Checkpoint
    {
        let descriptor = environment.descriptor
        guard let meta = LMDBMetaPage.newest(descriptor), let checksum = meta.rootChecksum(descriptor) else {
            throw .corrupt(path: environment.path, what: "its first pages cannot be read")
        }
        return JournalHeader.Checkpoint(meta: meta.bytes, rootChecksum: checksum)
    }

    // MARK: Begin and end

    /// Begins a journal if the file is one process's alone. What is committed so far is flushed; LMDB's
    /// writer lock is held.
    @discardableResult
    private func begin(_ environment: LMDBEnvironment) -> Bool {
        guard environment.options.durability == .full, !locked({ $0.isUnavailable }),
            !environment.isOpenForWritingElsewhere
        else { return false }
        do throws(StorageError) {
            try create(environment)
            return true
        } catch {
            // Without a journal every commit and every batch is flushed, which is as safe.
            locked { $0.isUnavailable = true }
            return false
        }
    }

    private func create(_ environment: LMDBEnvironment) throws(StorageError) {
        var file = locked { $0.file }
        if file == nil { file = try JournalFile(path, create: true) }
        guard let file else { return }
        let sequence = (try file.header()?.sequence ?? 0) + 1
        let pin = try LMDBPin(environment)
        CommitProbe.reach(.flushed)
        try file.write(JournalHeader(sequence: sequence, checkpoint: try Self.checkpoint(of: environment)))
        locked { state in
            state.file = file
            state.restart(sequence, pin)
        }
        endWhenIdle(environment)
    }

    /// Goes on where a process that is gone stopped, to commit its entries once more. The file is in
    /// the state of the header, and nobody else has it open.
    func resume(_ header: JournalHeader, _ file: JournalFile, _ environment: LMDBEnvironment)
        throws(StorageError)
    {
        let pin = try LMDBPin(environment)
        locked { state in
            state.file = file
            state.restart(header.sequence, pin)
        }
    }

    /// Another process ended it, and made everything durable before.
    private func end() {
        monitor {
            while unsafe state.isBusy { monitor.wait() }
            let next = unsafe state.sequence + 1
            unsafe state.restart(next, nil)
            monitor.notifyAll()
        }
    }

    /// Ends the journal of another process, or one that a process left behind which others outlived.
    func endOthers(_ environment: LMDBEnvironment) throws(StorageError) {
        let write = try LMDBWrite(environment)
        defer { write.abort() }
        guard let file = try JournalFile(path, create: false), let header = try file.header(),
            header.checkpoint != nil
        else { return }
        try environment.flush()
        try file.write(JournalHeader(sequence: header.sequence + 1, checkpoint: nil))
    }

    /// Ends the journal when it is not used: its pin would keep pages of what others commit.
    private func endWhenIdle(_ environment: LMDBEnvironment) {
        #if canImport(Dispatch)
            queue.asyncAfter(deadline: .now() + .nanoseconds(Int(Self.idleAfter))) {
                [weak self, weak environment] in
                guard let self, !(locked { $0.isClosed || !$0.isActive }), let environment else { return }
                if locked({ Self.now() - $0.lastCommit >= Self.idleAfter }) {
                    // If this fails the journal stays, and with it what it has.
                    try? checkpoint(environment, isLast: true)
                }
                endWhenIdle(environment)
            }
        #endif
    }

    /// Ends the journal for good; the file goes if nobody else has the database open.
    func close(_ environment: LMDBEnvironment) {
        locked { $0.isClosed = true }
        #if canImport(Dispatch)
            queue.sync {}
        #endif
        // What fails here is in the journal, and the next one to open the file finds it there.
        try? checkpoint(environment, isLast: true)
        let (isActive, file) = locked { state in
            defer { state.pin = nil }
            return (state.isActive, state.file)
        }
        if !isActive, file != nil, environment.isOpenNowhereElse { unsafe unlink(path) }
    }

    private static func now() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
