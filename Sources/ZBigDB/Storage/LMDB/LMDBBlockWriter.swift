internal import Synchronization
internal import VirtMem

/// Stores a transaction's blocks in the block space, ahead of its commit.
///
/// The first few megabytes are only kept: a small transaction writes them
/// within its commit and costs one flush. A larger one moves them, and all
/// that follows, in LMDB transactions of bounded size without the commit lock,
/// each record noted in `pending` until the commit names it.
final class LMDBBlockWriter: BlockWriter {
    /// Kept in memory up to this many bytes.
    static let mostKeptBytes = 8 << 20
    /// Moved in transactions of about this many bytes. Small, because LMDB takes fresh
    /// memory for each of them, and that costs more than the flushes saved.
    static let batchBytes = 16 << 20

    /// A block record without a number.
    struct Kept: Sendable {
        let id: BlockID
        let record: [UInt8]
    }

    /// What the commit needs.
    struct Contents: Sendable {
        /// Block records in the file already, listed in `pending`.
        var written: [BlockID] = []
        /// How many blocks are in each that is an extent.
        var extents: [BlockID: Int] = [:]
        /// Those still to be put there.
        var kept: [Kept] = []
        /// What became of preliminary ids.
        var ids: [BlockID: BlockID] = [:]

        var keptBytes: Int { kept.reduce(0) { $0 + $1.record.count } }
    }

    private struct State {
        var contents = Contents()
        var keptBytes = 0
        var preliminary = 0
        var isBulk = false
        var open: LMDBWrite?
        var openBytes = 0
        /// The ids of the open batch. If it is dropped, others get them.
        var openIDs: [BlockID] = []
        var expected: ExpectedExtent?
        var extent: OpenExtent?
    }

    private struct ExpectedExtent {
        let oid: OID
        let blocks: Range<Int>
        let blockSize: Int
    }

    private let storage: LMDBStorage
    private let isAhead: Bool
    private let lock = Lock()
    // Touched under the lock only.
    nonisolated(unsafe) private var state = State()

    init(_ storage: LMDBStorage, isAhead: Bool) {
        self.storage = storage
        self.isAhead = isAhead
    }

    func expect(_ oid: OID, _ blocks: Range<Int>, blockSize: Int) throws(StorageError) {
        try locked { state throws(StorageError) in
            try endExtent(&state)
            state.expected = ExpectedExtent(oid: oid, blocks: blocks, blockSize: blockSize)
        }
    }

    func store(_ block: NewBlock) throws(StorageError) -> BlockPart? {
        guard let builder = unsafe BlockRecordBuilder(block) else { return nil }
        return try locked { state throws(StorageError) in
            if let part = unsafe try storeInExtent(block, builder, &state) { return part }
            if !isAhead, !state.isBulk, state.keptBytes + builder.size <= Self.mostKeptBytes {
                return keep(builder, &state)
            }
            try moveKept(&state)
            let id = unsafe try put(&state, builder.size) { unsafe builder.build(in: $0) }
            return builder.part(id)
        }
    }

    private func locked<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        try lock { () throws(E) -> R in try unsafe body(&state) }
    }

    private func keep(_ builder: BlockRecordBuilder, _ state: inout State) -> BlockPart {
        let size = builder.size
        let record = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            unsafe builder.build(in: UnsafeMutableRawBufferPointer(buffer))
            count = size
        }
        let id = BlockID.preliminary(state.preliminary)
        state.preliminary += 1
        state.contents.kept.append(Kept(id: id, record: record))
        state.keptBytes += size
        return builder.part(id)
    }

    func flush() throws(StorageError) {
        try locked { state throws(StorageError) in try commitBatch(&state) }
    }

    /// The blocks belong to a prepared transaction now: discarding leaves them alone.
    func handOver() { locked { $0 = State() } }

    /// Ends the open batch; returns what there is to commit.
    func finish() throws(StorageError) -> Contents {
        try locked { state throws(StorageError) in
            try commitBatch(&state)
            return state.contents
        }
    }

    func discard() {
        locked { state in
            state.open?.abort()
            let ids = state.contents.written
            storage.garbage.withLock { $0 += ids }
            state = State()
        }
        storage.makeRoomOfGarbage()
    }

    private func moveKept(_ state: inout State) throws(StorageError) {
        state.isBulk = true
        for kept in state.contents.kept {
            let id = unsafe try put(&state, kept.record.count) { unsafe $0.copyBytes(from: kept.record) }
            state.contents.ids[kept.id] = id
        }
        state.contents.kept = []
        state.keptBytes = 0
    }

    // MARK: Extents

    /// Puts a block into the extent that was announced for it; nil if it is none of its blocks.
    private func storeInExtent(_ block: NewBlock, _ builder: BlockRecordBuilder, _ state: inout State)
        throws(StorageError) -> BlockPart?
    {
        guard let expected = state.expected, unsafe expected.oid == block.oid,
            unsafe expected.blocks.contains(block.number)
        else {
            try endExtent(&state)
            return nil
        }
        // What may be compressed gets a record of its own.
        guard unsafe block.compression == nil else { return nil }
        // A thin block would be mostly zeros there, and pages of zeros cost the same.
        guard unsafe block.pages.count * 2 >= block.pages.pageCount else { return nil }
        try moveKept(&state)
        if state.extent == nil { try beginExtent(expected, &state) }
        return unsafe state.extent?.store(block)
    }

    private func beginExtent(_ expected: ExpectedExtent, _ state: inout State) throws(StorageError) {
        let size = OpenExtent.recordSize(expected.blocks.count, blockSize: expected.blockSize)
        try commitBatch(&state)
        state.expected = expected
        let place: Place
        do throws(StorageError) {
            unsafe place = try reserve(&state, size)
        } catch {
            guard case .full = error else { throw error }
            // Not in one piece: the blocks may fit one by one.
            state.expected = nil
            return
        }
        unsafe storage.environment.prefersLargePages(place.memory)
        unsafe state.extent = OpenExtent(
            id: place.id, oid: expected.oid, blocks: expected.blocks, blockSize: expected.blockSize,
            memory: place.memory, fileOffset: storage.environment.fileOffset(ofNew: place.memory))
    }

    /// Completes the open extent: its header, and how many blocks rely on it.
    private func endExtent(_ state: inout State) throws(StorageError) {
        state.expected = nil
        guard let extent = state.extent.take(), let open = state.open else { return }
        let count = extent.finish()
        do throws(WriteFailure) {
            try unsafe storage.setShares(extent.id, Shares(live: count, total: count), open.transaction)
            state.contents.extents[extent.id] = count
        } catch {
            abandonBatch(&state)
            throw storage.environment.final(error)
        }
    }

    // MARK: Batches

    /// Writes one record into the open batch, beginning or ending a batch as needed.
    private func put(_ state: inout State, _ size: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void)
        throws(StorageError) -> BlockID
    {
        try endExtent(&state)
        let place = unsafe try reserve(&state, size)
        unsafe fill(place.memory)
        return unsafe place.id
    }

    @unsafe
    private struct Place {
        let id: BlockID
        let memory: UnsafeMutableRawBufferPointer
    }

    /// Makes room for a record in the open batch, to be filled before anything else is written.
    private func reserve(_ state: inout State, _ size: Int) throws(StorageError) -> Place {
        if state.openBytes > 0, state.openBytes + size > Self.batchBytes { try commitBatch(&state) }
        let format = storage.format
        do throws(WriteFailure) {
            if state.open == nil {
                do throws(StorageError) {
                    state.open = try beginBatch(max(size, Self.batchBytes))
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
            let memory = try unsafe transaction.reserve(format.blocks, id.rawValue.bigEndianBytes, size)
            state.openBytes += size
            state.openIDs.append(id)
            return unsafe Place(id: id, memory: memory)
        } catch {
            abandonBatch(&state)
            throw storage.environment.final(error)
        }
    }

    private func beginBatch(_ bytes: Int) throws(StorageError) -> LMDBWrite {
        let environment = storage.environment
        try environment.makeRoom(bytes)
        try environment.journal.makeRoom(forBlocks: bytes, environment)
        let write = try LMDBWrite(environment)
        environment.journal.beginForBlocks(environment)
        return write
    }

    private func commitBatch(_ state: inout State) throws(StorageError) {
        try endExtent(&state)
        guard let open = state.open.take() else { return }
        state.openBytes = 0
        CommitProbe.reach(.blocksFilled)
        do throws(WriteFailure) {
            // They are durable with the flip: until then nothing is lost with them.
            try open.commit(.uncertain)
            storage.environment.journal.startWriteout(storage.environment)
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
        state.extent = nil
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

    /// Whether what it may grow to is used up, but for little.
    var isNearlyFull: Bool {
        guard let limit = options.maximumSize, mapSize >= limit else { return false }
        return usedBytes + (16 << 20) > limit
    }

    /// Grows the map, as far as allowed, until `bytes` more surely fit.
    func makeRoom(_ bytes: Int) throws(StorageError) {
        let slack = 16 << 20
        while usedBytes + bytes + bytes / 4 + slack > mapSize {
            if let limit = options.maximumSize, mapSize >= limit { return }
            try grow()
        }
    }
}
