internal import Logging
internal import VirtMem

// The database's part in a two-phase commit.
//
//   tpcBegin   nothing shared is touched
//   commit     arrays write their dirty blocks out (storeblk), then objects are
//              serialised; bulk data goes to the block space
//   tpcVote    storage takes the commit lock, checks conflicts, writes records
//   tpcFinish  the flip; then memory is marked clean, never before
//   tpcAbort   everything of this transaction goes
//
// Array handles come first in every phase, so that what they hand over is
// there when records are written (behaviours E33, E34).

extension Connection: DataManager {
    /// Forgets this transaction's changes to objects and arrays.
    public func abort(_ transaction: Transaction) throws { try revert() }

    /// Nothing to do yet.
    public func tpcBegin(_ transaction: Transaction) throws {
        commit.request = nil
        commit.committedTID = nil
    }

    /// Stores dirty blocks and serialises changed objects.
    ///
    /// - Throws: `VirtMemError.storeFailed`, ``StorageError``.
    public func commit(_ transaction: Transaction) throws {
        if let deferredFailure { throw deferredFailure }
        try requireChangeable()
        // First for all files: any thread may store their blocks ahead, and would do it with a
        // writer that this commit does not know.
        for file in openFiles.values { try file.endSpilling() }
        let writer = try ahead.take() ?? storage.makeBlockWriter(isAhead: false)
        commit.writer = writer
        for file in openFiles.values.sorted(by: { ($0.oid ?? .root) < ($1.oid ?? .root) }) {
            try file.writeOut(writer)
        }
        // Others write between here and the vote, and so may we: numbers of new objects.
        try writer.flush()
        var builder = CommitBuilder(connection: self)
        builder.writes.reserve(changed.count, bytes: 0)
        for file in openFiles.values { try file.collectBlocks(&builder) }
        // Serialising finds new objects, which are appended and serialised in turn.
        var index = 0
        while index < changed.count {
            try changed[index].collectWrites(&builder)
            index += 1
        }
        warnOfLargeRecord(builder.writes)
        var readings = self.readings
        var cutOffs: [CutOff] = []
        let seen = try snapshot.tid
        for (oid, file) in openFiles {
            // Whoever cuts blocks off changes the file's state: who stores blocks relies on it.
            if file.hasStoredBlocks { readings[oid] = file.storedVersion }
            if let block = file.cutFrom { cutOffs.append(CutOff(oid: oid, block: block, seen: seen)) }
        }
        let written = Set(readings.isEmpty ? [] : builder.written.compactMap(\.oid))
        let relied = readings.filter { !written.contains($0.key) }.map {
            (key: RecordKey($0.key), base: $0.value)
        }
        commit.written = builder.written
        commit.request = CommitRequest(
            id: transaction.id, user: transaction.user, note: transaction.note,
            metadata: transaction.metadata,
            writes: builder.writes, blockWrites: builder.blockWrites,
            blockEdges: builder.blockEdges, readings: relied, cutOffs: cutOffs, snapshot: try snapshot,
            blocks: writer)
    }

    /// Behaviour H47.
    private func warnOfLargeRecord(_ writes: RecordWrites) {
        guard let (key, bytes) = writes.largest(above: database.configuration.largeRecordSize) else { return }
        Log.storage.warning(
            "\(path): object \(key.oid), \(key.part) has \(bytes) bytes; large data belongs into arrays")
    }

    /// Says yes, or throws ``ConflictError`` or ``StorageError``.
    public func tpcVote(_ transaction: Transaction) throws {
        commit.prepared = try vote { request in
            try storage.vote(request, isSole: transaction.participants.count == 1) { resolve($0, $1) }
        }
    }

    /// Calls `body` with what there is to commit; nil if there is nothing.
    private func vote<R>(_ body: (CommitRequest) throws -> R?) throws -> R? {
        guard let request = commit.request else {
            throw StorageError.protocolViolation("tpcVote without commit")
        }
        if request.writes.isEmpty, request.readings.isEmpty, request.blockWrites.isEmpty {
            // What was stored ahead is of changes that were rolled back.
            commit.writer?.discard()
            return nil
        }
        do {
            return try body(request)
        } catch var conflict as ConflictError {
            conflict.className = known(conflict.oid)?.recordClassName
            throw conflict
        }
    }

    /// Makes the transaction durable and visible, then marks memory clean.
    public func tpcFinish(_ transaction: Transaction) throws {
        try commit.prepared?.finish()
        didFinish(transaction, commit.prepared?.tid)
    }

    private func didFinish(_ transaction: Transaction, _ tid: TID?) {
        commit.committedTID = tid
        if let tid {
            transaction.tid = max(transaction.tid ?? .zero, tid)
            database.watch.didCommit()
        }
        for file in openFiles.values { file.markStored() }
        for object in changed {
            object.objectStatus = .saved
            object.didCommit()
        }
        // Not every changed object has a new state: the root only changes its entries.
        for object in commit.written { object.storedVersion = commit.committedTID }
        // What was brought together with others' changes is not what is in memory.
        for oid in commit.resolved { known(oid)?.objectStatus = .ghost }
        clearTransaction()
    }

    /// Takes everything back.
    public func tpcAbort(_ transaction: Transaction) throws { try revert() }

    /// Memory shows the last committed state of this snapshot again.
    private func revert() throws {
        commit.prepared?.abort()
        // Memory may show what was stored ahead, so that goes after it.
        let writers = [commit.writer, ahead.take()]
        defer { for writer in writers { writer?.discard() } }
        for file in openFiles.values { try file.discard() }
        let (changed, added) = (self.changed, self.added)
        clearTransaction()
        try revert(changed: changed, added: added)
    }

    /// New objects are in no database again, changed ones are loaded anew.
    func revert(changed: [PersistentObject], added: [PersistentObject]) throws {
        for object in added {
            if let oid = object.oid {
                openFiles.removeValue(forKey: oid)?.closeHandle()
                instances.remove(oid)
            }
            object.oid = nil
            object.connection = nil
            object.storedVersion = nil
            object.objectStatus = .unsaved
            if object.isImported { object.didRevert() }
        }
        for object in changed where object.connection != nil {
            object.objectStatus = .ghost
            object.didRevert()
            if object.isSticky { try load(object) }
        }
    }

    private func clearTransaction() {
        let tid = commit.committedTID
        commit = CommitState()
        commit.committedTID = tid
        changed = []
        added = []
        readings = [:]
        deferredFailure = nil
        _ = instances.endTransaction()
    }
}

extension Connection: SoleParticipant {
    func tpcVoteAndFinish(_ transaction: Transaction) throws {
        let tid = try vote { request in try storage.commit(request) { resolve($0, $1) } }
        didFinish(transaction, tid)
    }
}
