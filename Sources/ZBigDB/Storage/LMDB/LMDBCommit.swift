internal import CLMDB
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

// Two-phase commit on LMDB.
//
//   vote    C is taken, a tid assigned, conflicts are checked, records and log
//           entry written. As the only participant, the LMDB transaction stays
//           open: one flush in all. With others, what is to be committed is
//           stored durably in `prepared` first.
//   finish  the flip: the LMDB transaction that makes it visible is committed.
//   abort   the open transaction is dropped, or the entry in `prepared` removed.
//
// C is released at the end of finish and abort, or by the death of the process.

extension LMDBStorage {
    func vote(_ request: CommitRequest, isSole: Bool, resolve: ConflictResolution) throws
        -> any PreparedCommit
    {
        let (writer, contents) = try contents(of: request)
        try commitLock.acquire(for: request.id)
        CommitProbe.reach(.voting)
        do {
            let write = try LMDBWrite(environment)
            do {
                let prepared = try prepare(request, contents, write, isSole: isSole, resolve)
                if prepared is CheckedCommit {
                    // It changes nothing, so nobody needs what was stored for it.
                    writer.discard()
                } else if !isSole {
                    writer.handOver()
                }
                CommitProbe.reach(.voted)
                return prepared
            } catch {
                write.abort()
                throw error
            }
        } catch {
            commitLock.release()
            if let failure = error as? WriteFailure { throw environment.final(failure) }
            throw error
        }
    }

    /// What is stored for a request, and room for the rest of it.
    func contents(of request: CommitRequest) throws -> (LMDBBlockWriter, LMDBBlockWriter.Contents) {
        guard let writer = request.blocks as? LMDBBlockWriter else {
            throw StorageError.protocolViolation("blocks of another storage engine")
        }
        if isReadOnly { throw StorageError.readOnly(path: path) }
        let contents = try writer.finish()
        try environment.makeRoom(contents.keptBytes + request.recordBytes)
        return (writer, contents)
    }

    private func prepare(
        _ request: CommitRequest, _ contents: LMDBBlockWriter.Contents, _ write: LMDBWrite, isSole: Bool,
        _ resolve: ConflictResolution
    ) throws -> any PreparedCommit {
        let transaction = unsafe write.transaction
        let checked = try unsafe check(request, contents, transaction, resolve)
        if checked.stage.writes.isEmpty {
            // Nothing but readings: they hold until the end, and nothing is written (H4).
            write.abort()
            return CheckedCommit(storage: self)
        }
        if isSole {
            // The yes of the only participant: everything written, nothing committed.
            try unsafe apply(checked.stage, checked.tid, transaction)
            try unsafe forgetPending(contents.written, transaction)
            let dropped = try unsafe dropSomeGarbage(transaction)
            CommitProbe.reach(.recordsWritten)
            let entries = try unsafe journalEntries([checked], transaction)
            return OpenCommit(
                storage: self, tid: checked.tid, write: write, entries: entries, dropped: dropped)
        }
        // The yes among several: durable before it is said.
        try unsafe transaction.put(format.prepared, request.id.bytes, checked.stage.encoded())
        try unsafe forgetPending(contents.written, transaction)
        let dropped = try unsafe dropSomeGarbage(transaction)
        CommitProbe.reach(.recordsWritten)
        try write.commit()
        forgetGarbage(dropped)
        return DurableCommit(storage: self, tid: checked.tid, id: request.id)
    }

    // MARK: Steps

    /// A tid greater than the last, close to the clock.
    func nextTID(_ transaction: LMDBTransaction) throws -> TID {
        let last = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID)
        return TID(rawValue: max(now, last + 1))
    }

    /// The journal's entries for the commits of one LMDB transaction; nil if there is no journal, or they are
    /// not for it.
    func journalEntries(_ commits: [CheckedChanges], _ transaction: LMDBTransaction) throws -> [[UInt8]]? {
        let leastSize = commits.reduce(0) { $0 + $1.leastSize }
        let journal = environment.journal
        guard !commits.contains(where: \.isBulk), leastSize < LMDBJournal.mostBytes,
            journal.isWanted(environment)
        else { return nil }
        let nextOID = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.nextOID)
        let entries = commits.map { commit in
            JournalEntry(
                tid: commit.tid, nextOID: nextOID, id: commit.stage.id, stage: commit.stage.encoded(),
                blocks: commit.blocks
            ).encoded()
        }
        return journal.takes(entries) ? entries : nil
    }

    /// Puts kept block records into the block space; returns what became of preliminary ids.
    private func putKept(
        _ contents: LMDBBlockWriter.Contents, _ named: Set<BlockID>, _ transaction: LMDBTransaction
    ) throws -> [BlockID: BlockID] {
        var ids = contents.ids
        for kept in contents.kept where named.contains(kept.id) {
            let id = BlockID(
                rawValue: try unsafe transaction.take(1, from: format.meta, FileFormat.MetaKey.nextBlock))
            let target = try unsafe transaction.reserve(
                format.blocks, id.rawValue.bigEndianBytes, kept.record.count)
            unsafe target.copyBytes(from: kept.record)
            ids[kept.id] = id
        }
        return ids
    }

    /// What a transaction is going to commit, checked against everything that is committed before it.
    ///
    /// - Throws: ``ConflictError``, ``StorageError``. A conflict of a transaction that stores no
    ///   blocks is found before anything is written.
    func check(
        _ request: CommitRequest, _ contents: LMDBBlockWriter.Contents, _ transaction: LMDBTransaction,
        _ resolve: ConflictResolution
    ) throws -> CheckedChanges {
        let tid = try unsafe nextTID(transaction)
        try unsafe refuseInDoubt(request, transaction)
        var (stage, blocks) = try unsafe makeStage(request, contents, transaction)
        let last = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID)
        if request.snapshot?.tid.rawValue != last {
            try unsafe check(&stage.writes, request, transaction, resolve)
            try unsafe refuseRemoved(stage.writes, seen: request.snapshot?.tid, transaction)
        }
        return CheckedChanges(
            tid: tid, stage: stage, blocks: blocks, isBulk: !contents.written.isEmpty)
    }

    /// What the transaction writes, once its blocks are brought together with what is there now.
    private func makeStage(
        _ request: CommitRequest, _ contents: LMDBBlockWriter.Contents, _ transaction: LMDBTransaction
    ) throws -> (Stage, kept: [JournalEntry.Block]) {
        var writes = request.writes
        let named = request.blockWrites.reduce(into: Set<BlockID>()) { $0.formUnion($1.patch.blocks) }
        let ids = try unsafe putKept(contents, named, transaction)
        var uses: [BlockID: Int] = [:]
        do {
            let cursor = try unsafe transaction.cursor(format.records)
            for write in request.blockWrites {
                let current = unsafe try newest(write.key, cursor)
                let old = try unsafe recipe(current, write.key)
                let merge = unsafe BlockMerge(write, ids: ids, currentTID: current?.tid, current: old)
                let new = try merge.result()
                for id in new.blocks { uses[id, default: 0] += 1 }
                if new.parts.isEmpty, unsafe current == nil { continue }
                writes.append(
                    RecordWrite(
                        key: write.key, value: new.parts.isEmpty ? nil : .block(new),
                        base: unsafe current?.tid))
            }
            for edge in request.blockEdges {
                let current = unsafe try newest(edge.key, cursor)
                try edge.check(unsafe recipe(current, edge.key), unsafe current?.tid)
            }
        }
        try unsafe settle(contents, ids.values, uses: uses, transaction)
        let kept = contents.kept.compactMap { kept in
            ids[kept.id].flatMap { uses[$0] == nil ? nil : JournalEntry.Block(id: $0, record: kept.record) }
        }
        writes.sort()
        let stage = Stage(
            id: request.id, user: request.user, note: request.note, metadata: request.metadata, writes: writes
        )
        return (stage, kept)
    }

    /// The recipe in a block's record; an empty one if there is none.
    func recipe(_ version: Version?, _ key: RecordKey) throws(StorageError) -> BlockRecipe {
        guard let version = unsafe version else { return BlockRecipe() }
        guard let value = unsafe try? RecordValue(decoding: Array(version.value)), let recipe = value.recipe
        else { throw .corrupt(path: path, what: "\(key.oid), \(key.part) is no block") }
        return recipe
    }

    /// Refuses to touch, or to rely on, what a transaction in doubt wants to change.
    private func refuseInDoubt(_ request: CommitRequest, _ transaction: LMDBTransaction) throws {
        if try unsafe transaction.statistics(format.prepared).entries == 0 { return }
        let keys = Set(
            request.writes.map(\.key) + request.blockWrites.map(\.key) + request.blockEdges.map(\.key)
                + request.readings.map(\.key))
        try unsafe refuseInDoubt(transaction) { key in
            keys.contains(key) || request.cutOffs.contains { $0.covers(key) }
        }
    }

    /// Throws if a transaction in doubt wants to change one of these records.
    func refuseInDoubt(_ transaction: LMDBTransaction, _ isMet: (RecordKey) -> Bool) throws {
        try unsafe forEachStaged(transaction) { other in
            guard let met = other.writes.map(\.key).first(where: isMet) else { return }
            throw StorageError.inDoubt(path: path, oid: met.oid, part: met.part, transaction: other.id)
        }
    }

    /// Calls `body` with what each transaction that said yes and is not decided wants to commit.
    func forEachStaged(_ transaction: LMDBTransaction, _ body: (Stage) throws -> Void) throws {
        let cursor = try unsafe transaction.cursor(format.prepared)
        var entry = unsafe try cursor.first()
        while let at = unsafe entry {
            try body(try unsafe stage(at.key, Array(at.value)))
            unsafe entry = try cursor.next()
        }
    }

    /// Every record must be at the version the transaction started from (H9, H12), or
    /// the change must be resolvable (H10); and where it cuts off blocks, none may have come since.
    ///
    /// Not called if nothing was committed since the transaction's snapshot.
    private func check(
        _ writes: inout RecordWrites, _ request: CommitRequest, _ transaction: LMDBTransaction,
        _ resolve: ConflictResolution
    ) throws {
        let cursor = try unsafe transaction.cursor(format.records)
        func conflict(_ key: RecordKey, _ base: TID?, _ current: TID?) -> ConflictError {
            ConflictError(oid: key.oid, className: nil, part: key.part, base: base, current: current)
        }
        for index in writes.indices {
            let key = writes.key(index)
            let current = unsafe try newest(key, cursor)
            let base = writes.isBlind(index) ? try request.snapshot?.record(key)?.tid : writes.base(index)
            if unsafe current?.tid == base { continue }
            let write = writes[index]
            guard let current = unsafe current,
                let value = unsafe try? RecordValue(decoding: Array(current.value)),
                let resolved = unsafe resolve(
                    write, StoredRecord(key: write.key, tid: current.tid, value: value))
            else { throw unsafe conflict(write.key, base, current?.tid) }
            unsafe writes[index] = RecordWrite(key: write.key, value: resolved, base: current.tid)
        }
        for reading in request.readings {
            let current = unsafe try newest(reading.key, cursor)?.tid
            if current != reading.base { throw conflict(reading.key, reading.base, current) }
        }
        for cutOff in request.cutOffs {
            var entry = unsafe try cursor.seek(
                cutOff.oid.rawValue.bigEndianBytes + UInt64(cutOff.block).bigEndianBytes)
            while let at = unsafe entry, let (key, tid) = unsafe RecordKey.decode(at.key), cutOff.covers(key)
            {
                if tid > cutOff.seen {
                    throw ConflictError(
                        oid: key.oid, className: nil, part: key.part, base: nil, current: tid)
                }
                unsafe entry = try cursor.next()
            }
        }
    }

    /// A record's newest version, in LMDB's memory.
    @unsafe
    struct Version {
        let tid: TID
        let value: UnsafeRawBufferPointer
    }

    /// Nil if there is none, or if it was removed.
    func newest(_ key: RecordKey, _ cursor: borrowing LMDBCursor) throws(StorageError) -> Version? {
        guard let entry = unsafe try cursor.seek(key.encoded(.largest)),
            let (found, tid) = unsafe RecordKey.decode(entry.key), found == key
        else { return nil }
        if unsafe RecordValue.isRemoval(entry.value) { return nil }
        return unsafe Version(tid: tid, value: entry.value)
    }

    /// Writes records and log entry. The versions they replace go, and with them the block
    /// records nobody names any more; or if history is kept, they stay.
    func apply(_ stage: Stage, _ tid: TID, _ transaction: LMDBTransaction) throws {
        var changes = ChangeWriter()
        var removed = ChangeSet()
        do {
            var records = try LMDBRecordWriter(
                unsafe transaction.cursor(format.records), tid, keepsHistory: keepsHistory)
            try unsafe stage.writes.forEachPlace { write in
                unsafe changes.insert(write.oid, write.subkey)
                if unsafe write.value == nil, unsafe write.subkey.isEmpty {
                    unsafe removed.insert(RecordKey(write.oid))
                }
                guard let replaced = try unsafe records.write(write) else { return }
                let kept = unsafe write.recipe?.blocks ?? []
                for id in replaced.blocks where !kept.contains(id) {
                    try unsafe release(id, transaction)
                }
            }
            try records.finish()
        }
        let record = TransactionRecord.encoded(
            id: stage.id, user: stage.user, note: stage.note, metadata: stage.metadata,
            changes: changes.finish(), moves: removed.encoded())
        try unsafe append(record, tid, transaction)
        if !removed.isEmpty { try unsafe noteRemoval(tid, transaction) }
    }

    /// Adds the newest entry to the log.
    func append(_ record: [UInt8], _ tid: TID, _ transaction: LMDBTransaction) throws {
        try unsafe transaction.put(format.transactions, tid.rawValue.bigEndianBytes, record)
        try unsafe transaction.setCounter(format.meta, FileFormat.MetaKey.lastTID, tid.rawValue)
        try unsafe pruneLog(transaction)
    }

    /// Keeps the log at its limit. Two entries a commit are enough to shrink it.
    private func pruneLog(_ transaction: LMDBTransaction) throws {
        for _ in 0..<2 {
            guard try unsafe transaction.statistics(format.transactions).entries > logLimit else { return }
            let cursor = try unsafe transaction.cursor(format.transactions)
            guard let oldest = unsafe try cursor.first() else { return }
            let tid = unsafe UInt64(bigEndianBytes: oldest.key[...])
            // What can be looked at or undone stays in the log.
            if keepsHistory, tid > (try unsafe historyStart(transaction)).rawValue { return }
            try cursor.delete()
            try unsafe transaction.setCounter(format.meta, FileFormat.MetaKey.logStart, tid)
        }
    }

    /// Takes the transaction's blocks off `pending`.
    func forgetPending(_ written: [BlockID], _ transaction: LMDBTransaction) throws {
        guard let owner else { throw StorageError.readOnly(path: path) }
        for id in written { try unsafe transaction.delete(format.pending, owner.key(id)) }
    }

    /// Uses the occasion to drop abandoned blocks. Returns those.
    func dropSomeGarbage(_ transaction: LMDBTransaction) throws -> [BlockID] {
        let abandoned = garbage.withLock { Array($0.prefix(mostDroppedAtOnce)) }
        try unsafe dropGarbage(transaction, abandoned)
        return abandoned
    }

    /// Abandoned blocks that are gone for good.
    func forgetGarbage(_ dropped: [BlockID]) {
        if dropped.isEmpty { return }
        let gone = Set(dropped)
        garbage.withLock { $0.removeAll { gone.contains($0) } }
    }
}
