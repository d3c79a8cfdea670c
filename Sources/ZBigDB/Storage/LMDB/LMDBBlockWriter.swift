internal import Synchronization
internal import VirtMem

/// Stores a transaction's blocks in the block space, ahead of its commit.
///
/// The first few megabytes are only kept: a small transaction writes them
/// within its commit and costs one flush. A larger one moves them, and all
/// that follows, in LMDB transactions of bounded size without the commit lock,
/// each block noted in `pending` until the commit names it.
final class LMDBBlockWriter: BlockWriter {
    /// Kept in memory up to this many bytes.
    static let mostKeptBytes = 8 << 20
    /// Moved in transactions of about this many bytes. Small, because LMDB takes fresh
    /// memory for each of them, and that costs more than the flushes saved.
    static let batchBytes = 16 << 20

    /// A block record, header and payload, still without an id.
    struct Kept: Sendable {
        let header: ZBlkHeader
        let record: [UInt8]
        /// Its place in `writes`.
        let position: Int
    }

    /// What the commit needs.
    struct Contents: Sendable {
        var writes: [StoredBlockWrite] = []
        /// Blocks in the file already, listed in `pending`.
        var written: [BlockID] = []
        var kept: [Kept] = []
    }

    private struct State {
        var contents = Contents()
        var keptBytes = 0
        var isBulk = false
        var open: LMDBWrite?
        var openBytes = 0
        /// The ids of the open batch. If it is dropped, others get them.
        var openIDs: [BlockID] = []
    }

    private let storage: LMDBStorage
    private let state = Mutex(State())

    init(_ storage: LMDBStorage) { self.storage = storage }

    func store(_ block: NewBlock) throws(StorageError) {
        let key = unsafe RecordKey(block.oid, block: block.number)
        let base = unsafe block.base
        guard let builder = unsafe BlockRecordBuilder(block) else {
            if base != nil { append(StoredBlockWrite(key: key, base: base, descriptor: nil)) }
            return
        }
        if try keep(builder, key, base) { return }
        let (id, header) = try state.withLock { state in
            Result { () throws(StorageError) -> (BlockID, ZBlkHeader) in
                if !state.isBulk { try moveKept(&state) }
                return unsafe try put(&state, builder.size) { unsafe builder.build(in: $0) }
            }
        }.get()
        append(StoredBlockWrite(key: key, base: base, descriptor: header.descriptor(id)))
    }

    private func append(_ write: StoredBlockWrite) { state.withLock { $0.contents.writes.append(write) } }

    /// Keeps a block in memory, as long as few are kept; false if it must be written.
    private func keep(_ builder: BlockRecordBuilder, _ key: RecordKey, _ base: TID?) throws(StorageError)
        -> Bool
    {
        let size = builder.size
        guard state.withLock({ !$0.isBulk && $0.keptBytes + size <= Self.mostKeptBytes }) else {
            return false
        }
        var header: ZBlkHeader?
        let record = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            header = unsafe builder.build(in: UnsafeMutableRawBufferPointer(buffer))
            count = size
        }
        guard let header else { return false }
        state.withLock { state in
            state.contents.kept.append(
                Kept(header: header, record: record, position: state.contents.writes.count))
            state.keptBytes += size
            state.contents.writes.append(StoredBlockWrite(key: key, base: base, descriptor: nil))
        }
        return true
    }

    func flush() throws(StorageError) {
        try state.withLock { state in
            Result { () throws(StorageError) in try commitBatch(&state) }
        }.get()
    }

    /// The blocks belong to a prepared transaction now: discarding leaves them alone.
    func handOver() { state.withLock { $0 = State() } }

    /// Ends the open batch; returns what there is to commit.
    func finish() throws(StorageError) -> Contents {
        try state.withLock { state in
            Result { () throws(StorageError) -> Contents in
                try commitBatch(&state)
                return state.contents
            }
        }.get()
    }

    var isEmpty: Bool { state.withLock { $0.contents.writes.isEmpty } }

    func discard() {
        state.withLock { state in
            state.open?.abort()
            let ids = state.contents.written
            storage.garbage.withLock { $0 += ids }
            state = State()
        }
    }

    private func moveKept(_ state: inout State) throws(StorageError) {
        state.isBulk = true
        for kept in state.contents.kept {
            let (id, _) = unsafe try put(&state, kept.record.count) { unsafe $0.copyBytes(from: kept.record) }
            let write = state.contents.writes[kept.position]
            state.contents.writes[kept.position] = StoredBlockWrite(
                key: write.key, base: write.base,
                descriptor: kept.header.descriptor(id))
        }
        state.contents.kept = []
        state.keptBytes = 0
    }

    /// Writes one record into the open batch, beginning or ending a batch as needed.
    private func put<R>(_ state: inout State, _ size: Int, _ fill: (UnsafeMutableRawBufferPointer) -> R)
        throws(StorageError) -> (BlockID, R)
    {
        if state.openBytes > 0, state.openBytes + size > Self.batchBytes { try commitBatch(&state) }
        let format = storage.format
        do throws(WriteFailure) {
            if state.open == nil {
                do throws(StorageError) {
                    try storage.environment.makeRoom(max(size, Self.batchBytes))
                    state.open = try LMDBWrite(storage.environment)
                } catch {
                    throw .failed(error)
                }
            }
            guard let open = state.open, let owner = storage.owner else {
                throw .failed(.readOnly(path: storage.path))
            }
            let transaction = unsafe open.transaction
            let id = BlockID(
                rawValue: try unsafe transaction.take(1, from: format.meta, FileFormat.MetaKey.nextBlock))
            try unsafe transaction.put(format.pending, owner.key(id), [])
            let target = try unsafe transaction.reserve(format.blocks, id.rawValue.bigEndianBytes, size)
            let result = unsafe fill(target)
            state.openBytes += size
            state.openIDs.append(id)
            return (id, result)
        } catch {
            abandonBatch(&state)
            throw storage.environment.final(error)
        }
    }

    private func commitBatch(_ state: inout State) throws(StorageError) {
        guard let open = state.open.take() else { return }
        state.openBytes = 0
        CommitProbe.reach(.blocksFilled)
        do throws(WriteFailure) {
            try open.commit()
            state.contents.written += state.openIDs
            state.openIDs = []
            CommitProbe.reach(.blocksWritten)
        } catch {
            abandonBatch(&state)
            throw storage.environment.final(error)
        }
    }

    /// After a failure: the batch never happened, and its ids are given out again.
    private func abandonBatch(_ state: inout State) {
        state.open?.abort()
        state.open = nil
        state.openBytes = 0
        state.openIDs = []
    }
}

extension LMDBEnvironment {
    /// The error a failed write ends in when growing is no way out.
    func final(_ failure: WriteFailure) -> StorageError {
        switch failure {
        case .failed(let error): return error
        case .mapFull: return .full(path: path, limit: options.maximumSize ?? mapSize)
        }
    }

    /// Grows the map, as far as allowed, until `bytes` more surely fit.
    func makeRoom(_ bytes: Int) throws(StorageError) {
        let slack = 16 << 20
        while extent().used + bytes + bytes / 4 + slack > mapSize {
            if let limit = options.maximumSize, mapSize >= limit { return }
            try grow()
        }
    }
}
