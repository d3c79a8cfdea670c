internal import CLMDB

#if canImport(Glibc)
    internal import Glibc
#endif

/// The time from before LMDB opens a file until it is complete: one process at a time, so that a
/// journal that was left behind is worked off before anybody looks at the file.
///
/// A process that was killed, or a power cut, leaves the database file in a state between the
/// journal's checkpoint and its last entry, after a power cut with pages missing. If nobody has the file
/// open any more, the checkpoint is put back and the entries are committed once more.
/// Otherwise nothing was lost, and the other process goes on with the file as it is.
struct LMDBOpening: ~Copyable {
    /// Held alone by who opens a file for writing, shared by who opens it for reading.
    private static let byte: Int64 = 1 << 62 + 1 << 16 + 2

    private static let attempts = 10

    private let path: String
    private let descriptor: Int32
    private var journal: (file: JournalFile, header: JournalHeader)?

    init(_ path: String, isReadOnly: Bool) throws(StorageError) {
        self.path = path
        descriptor = unsafe open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
        let journalPath = JournalFile.path(of: path)
        // Whatever is wrong with the file, opening it will say so.
        guard descriptor >= 0 else {
            if errno == ENOENT, !isReadOnly { unsafe unlink(journalPath) }
            return
        }
        let code =
            isReadOnly
            ? clmdb_share_byte_waiting(descriptor, Self.byte) : clmdb_lock_byte(descriptor, Self.byte, 1)
        if code != 0 { throw .system(path: path, doing: "locking the file to open it", errno: code) }
        guard let file = try JournalFile(journalPath, create: false, isReadOnly: isReadOnly),
            let header = try file.header(), let checkpoint = header.checkpoint
        else { return }
        if isReadOnly {
            if clmdb_is_byte_locked(descriptor, LMDBEnvironment.useByte) == 0 {
                throw .needsRecovery(path: path)
            }
        } else if isNobodyElseHere() {
            try restore(checkpoint)
            journal = (file, header)
            _ = clmdb_unlock_byte(descriptor, LMDBEnvironment.useByte)
        }
    }

    /// Takes the file alone if nobody has it open.
    private func isNobodyElseHere() -> Bool {
        for _ in 0..<Self.attempts {
            if clmdb_lock_byte(descriptor, LMDBEnvironment.useByte, 0) == 0 { return true }
            // A child between fork and exec has it open for a moment longer than its parent, which may have died
            // while it worked off the journal: that is still to be done, not to be taken for done.
            usleep(1000)
        }
        return false
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func restore(_ checkpoint: JournalHeader.Checkpoint) throws(StorageError) {
        guard let meta = LMDBMetaPage(bytes: checkpoint.meta),
            meta.rootChecksum(descriptor) == checkpoint.rootChecksum
        else { throw .foreignJournal(path: path, journal: JournalFile.path(of: path)) }
        guard meta.restore(descriptor) else {
            throw LMDBCode.error(errno, path, "restoring the last checkpoint")
        }
        // LMDB's record of readers knows a later state. All who had it are gone.
        unsafe unlink(path + "-lock")
    }

    /// Brings the opened file to the state of the journal's last entry.
    consuming func finish(_ storage: LMDBStorage) throws(StorageError) {
        if storage.isReadOnly { return }
        let environment = storage.environment
        guard let (file, header) = journal else { return try environment.journal.endOthers(environment) }
        try environment.journal.resume(header, file, environment)
        for entry in try file.entries(header.sequence) { try storage.replay(entry) }
        try environment.journal.checkpoint(environment, isLast: true)
    }
}

extension LMDBStorage {
    /// Commits an entry of the journal once more, if it is not there.
    fileprivate func replay(_ entry: JournalEntry) throws(StorageError) {
        let room = entry.stage.count * 4 + entry.blocks.reduce(1 << 20) { $0 + $1.record.count }
        try unsafe writeOnce("the journal's entry \(entry.tid)", room: room, .uncertain) { transaction in
            if try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID) >= entry.tid.rawValue {
                return false
            }
            for block in entry.blocks {
                let target = try unsafe transaction.reserve(
                    format.blocks, block.id.rawValue.bigEndianBytes, block.record.count)
                unsafe target.copyBytes(from: block.record)
                try unsafe transaction.raise(
                    format.meta, FileFormat.MetaKey.nextBlock, to: block.id.rawValue + 1)
            }
            try unsafe transaction.raise(format.meta, FileFormat.MetaKey.nextOID, to: entry.nextOID)
            try unsafe apply(Stage(entry.id, decoding: entry.stage), entry.tid, transaction)
            return true
        }
    }
}

extension LMDBTransaction {
    /// Makes a counter of `meta` at least so great.
    fileprivate func raise(_ meta: LMDBTree, _ key: [UInt8], to value: UInt64) throws {
        if try unsafe counter(meta, key) < value { try unsafe setCounter(meta, key, value) }
    }
}
