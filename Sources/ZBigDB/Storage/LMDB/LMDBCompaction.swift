internal import Logging
internal import Synchronization
internal import VirtMem

/// How far a compaction has come.
public struct CompactionProgress: Sendable {
    /// Records looked at.
    public let done: Int
    /// Records there are.
    public let total: Int
}

/// What a compaction did.
public struct CompactionReport: Sendable, Equatable {
    /// Blocks that lie elsewhere now.
    public internal(set) var movedBlocks = 0
    /// Bytes of the file before.
    public internal(set) var fileBytesBefore = 0
    /// Bytes of the file afterwards.
    public internal(set) var fileBytesAfter = 0
}

/// Compaction while the database is in use: blocks in several parts are joined, runs of
/// single blocks become extents, and what is left of mostly dead extents moves away.
///
/// It works in small transactions, each of which is complete; so it can be
/// interrupted, or killed, at any time. The file does not get shorter, but
/// what is given back is used again.
struct LMDBCompaction {
    /// Blocks moved in one transaction: bytes.
    private static let batchBytes = 64 << 20
    private static let pageOfRecords = 1024

    private let storage: LMDBStorage
    private let progress: (CompactionProgress) throws -> Void
    private(set) var report = CompactionReport()

    init(_ storage: LMDBStorage, _ progress: @escaping (CompactionProgress) throws -> Void = { _ in }) {
        self.storage = storage
        self.progress = progress
    }

    /// Goes through all arrays.
    mutating func run() throws {
        report.fileBytesBefore = storage.environment.extent().length
        let total = try storage.recordCount()
        var from: [UInt8]? = []
        var done = 0
        while let start = from {
            // A snapshot for each piece: an old one would pin what this gives back.
            let snapshot = try LMDBSnapshot(storage)
            let page = try snapshot.storedBlocks(from: start, limit: Self.pageOfRecords)
            for run in runs(page.blocks) { try move(run, snapshot) }
            done += page.seen
            from = page.next
            try progress(CompactionProgress(done: min(done, total), total: total))
        }
        report.fileBytesAfter = storage.environment.extent().length
    }

    /// Moves what is left of an extent.
    mutating func evacuate(_ id: BlockID) throws {
        let snapshot = try LMDBSnapshot(storage)
        guard let (oid, blocks) = try snapshot.sparseExtent(id) else { return }
        let start = RecordKey(oid, block: blocks.lowerBound).encoded(.largest)
        let page = try snapshot.storedBlocks(from: start, limit: blocks.count)
        let survivors = page.blocks.filter {
            $0.key.oid == oid && $0.key.block.map(blocks.contains) == true && $0.recipe.blocks.contains(id)
        }
        for run in Self.adjacent(survivors) { try move(run, snapshot) }
    }

    // MARK: What to move

    /// Runs of neighbouring blocks that are worth moving.
    private func runs(_ blocks: [StoredBlock]) -> [[StoredBlock]] {
        let candidates = Self.adjacent(blocks.filter { !$0.isSettled })
        return candidates.compactMap { run in
            guard let first = run.first else { return nil }
            let bytes = run.count * first.blockSize
            if bytes >= OpenExtent.fewestBytes { return run }
            // Too few for an extent: only those that gain by themselves.
            let gaining = run.filter(\.gainsAlone)
            return gaining.isEmpty ? nil : gaining
        }
    }

    private static func adjacent(_ blocks: [StoredBlock]) -> [[StoredBlock]] {
        var runs: [[StoredBlock]] = []
        for block in blocks {
            if let last = runs.last?.last, last.key.isFollowed(by: block.key) {
                runs[runs.count - 1].append(block)
            } else {
                runs.append([block])
            }
        }
        return runs
    }

    // MARK: Moving

    private mutating func move(_ run: [StoredBlock], _ snapshot: LMDBSnapshot) throws {
        guard let blockSize = run.first?.blockSize else { return }
        let most = OpenExtent.mostBlocks(of: blockSize)
        let batch = max(Self.batchBytes / blockSize / most, 1) * most
        for start in stride(from: 0, to: run.count, by: batch) {
            try moveBatch(run[start..<min(start + batch, run.count)], blockSize, snapshot)
        }
    }

    private mutating func moveBatch(
        _ blocks: ArraySlice<StoredBlock>, _ blockSize: Int, _ snapshot: LMDBSnapshot
    ) throws {
        let most = OpenExtent.mostBlocks(of: blockSize)
        let writer = LMDBBlockWriter(storage, isAhead: true)
        do {
            var moves: [BlockMove] = []
            for start in stride(from: blocks.startIndex, to: blocks.endIndex, by: most) {
                let some = blocks[start..<min(start + most, blocks.endIndex)]
                let parts = try snapshot.copy(
                    some.map { ($0.key, $0.recipe) }, blockSize: blockSize, to: writer)
                for (block, part) in zip(some, parts) {
                    guard let part else { continue }
                    moves.append(BlockMove(key: block.key, tid: block.tid, recipe: block.recipe, part: part))
                }
            }
            report.movedBlocks += try storage.commit(moves, writer, note: "compaction")
        } catch {
            writer.discard()
            throw error
        }
    }
}

/// A block as a snapshot has it.
struct StoredBlock: Sendable {
    let key: RecordKey
    let tid: TID
    let recipe: BlockRecipe
    let blockSize: Int
    /// Whether its array is compressed: such blocks do not go into extents.
    let isCompressed: Bool
    /// Whether what it lies in is an extent that is mostly alive.
    let isInGoodExtent: Bool

    /// Nothing is gained by moving it.
    var isSettled: Bool { recipe.parts.count == 1 && (isInGoodExtent || isCompressed) }
    /// In several parts, or in an extent that is mostly dead.
    var gainsAlone: Bool {
        recipe.parts.count > 1 || (recipe.parts.first?.kind == .extent && !isInGoodExtent)
    }
}

extension LMDBSnapshot {
    /// Blocks of all arrays, `limit` records from a stored key on, and where to go on. Only blocks without
    /// older versions, which may share parts with them.
    func storedBlocks(from start: [UInt8], limit: Int) throws(StorageError) -> (
        blocks: [StoredBlock], seen: Int, next: [UInt8]?
    ) {
        unsafe try withRecords { cursor, transaction throws(StorageError) in
            var found: [StoredBlock] = []
            var seen = 0
            var newest: RecordKey?
            var known: (id: BlockID, header: ZBlkHeader)?
            var entry = unsafe start.isEmpty ? try cursor.first() : try cursor.seek(start)
            while let at = unsafe entry {
                if seen >= limit { return unsafe (found, seen, at.key) }
                seen += 1
                if let (key, tid) = unsafe RecordKey.decode(at.key), key.block != nil {
                    if key == newest {
                        if found.last?.key == key { found.removeLast() }
                    } else if let recipe = unsafe try value(of: at).recipe, let part = recipe.parts.first {
                        // The blocks of an extent come one after the other.
                        if known?.id != part.block {
                            known = try unsafe header(part.block, transaction).map { (part.block, $0) }
                        }
                        if let header = known?.header {
                            found.append(try unsafe describe(key, tid, recipe, header, transaction))
                        }
                    }
                    newest = key
                }
                unsafe entry = try cursor.next()
            }
            return (found, seen, nil)
        }
    }

    private func describe(
        _ key: RecordKey, _ tid: TID, _ recipe: BlockRecipe, _ header: ZBlkHeader,
        _ transaction: LMDBTransaction
    ) throws(StorageError) -> StoredBlock {
        let extent = recipe.parts.first { $0.kind == .extent }
        let shares = try extent.map { part throws(StorageError) in
            try unsafe storage.shares(part.block, transaction)
        }
        return StoredBlock(
            key: key, tid: tid, recipe: recipe, blockSize: header.pagesPerBlock * header.pageSize,
            isCompressed: header.compression != nil,
            isInGoodExtent: (shares ?? nil).map { !$0.isSparse } ?? false)
    }

    /// The blocks of an extent, if few rely on it.
    func sparseExtent(_ id: BlockID) throws(StorageError) -> (oid: OID, blocks: Range<Int>)? {
        unsafe try withRecords { _, transaction throws(StorageError) in
            guard try unsafe storage.shares(id, transaction)?.isSparse == true,
                let header = try unsafe header(id, transaction)
            else { return nil }
            return (header.oid, header.firstBlock..<(header.firstBlock + header.blockCount))
        }
    }

    private func header(_ id: BlockID, _ transaction: LMDBTransaction) throws(StorageError) -> ZBlkHeader? {
        guard let record = unsafe try transaction.get(storage.format.blocks, id.rawValue.bigEndianBytes)
        else { return nil }
        do throws(ZBlkHeader.Damage) {
            return try unsafe ZBlkHeader(decoding: record)
        } catch {
            throw .corrupt(path: storage.path, what: "block record \(id.rawValue): \(error)")
        }
    }
}

extension LMDBStorage {
    func recordCount() throws(StorageError) -> Int {
        let records = format.records
        return unsafe try environment.read { transaction throws(StorageError) in
            try unsafe transaction.statistics(records).entries
        }
    }

    /// After a commit: moves away what is left of extents that it made mostly dead. Each
    /// block that moves is paid for by one that was replaced.
    func tidy() {
        guard compactsAutomatically, !keepsHistory else { return }
        let ids = sparse.withLock { ids in
            defer { ids = [] }
            return ids
        }
        for id in ids.sorted() {
            var compaction = LMDBCompaction(self)
            do {
                try compaction.evacuate(id)
            } catch {
                // The commit is done; this can be made up for, and the file is as it was.
                Log.storage.warning("moving the rest of block record \(id.rawValue) failed: \(error)")
            }
        }
    }
}
