internal import VirtMem

/// What the layers above need of a storage engine: versioned records, blocks
/// named by ids, and an atomic commit. A snapshot is a number, blocks are
/// written ahead of the commit that names them, look-ups can be batched:
/// nothing here assumes that the engine is LMDB or on this machine.
protocol RecordStorage: AnyObject, Sendable {
    var path: String { get }
    var isReadOnly: Bool { get }

    /// The database as its last committed transaction left it.
    func openSnapshot() throws(StorageError) -> any StorageSnapshot
    /// The database as it was at `moment`.
    ///
    /// - Throws: ``HistoryError``, ``StorageError``.
    func openSnapshot(at moment: Moment) throws -> any StorageSnapshot

    /// Object numbers nobody else gets: at least one, at most `count`.
    func reserveOIDs(upTo count: Int) throws(StorageError) -> Range<UInt64>

    /// Whether old versions of records are kept.
    var keepsHistory: Bool { get }

    /// Collects the blocks of one transaction.
    ///
    /// - Parameter isAhead: whether what it stores can be read after the next
    ///   ``BlockWriter/flush()``; otherwise it may wait for the commit.
    func makeBlockWriter(isAhead: Bool) -> any BlockWriter

    /// Checks a transaction for conflicts and gets it ready, holding the commit
    /// lock until the result is finished or aborted. If `isSole`, it need not
    /// outlive a crash before ``PreparedCommit/finish()``; otherwise it does.
    ///
    /// - Parameter resolve: asked for a value that brings a conflicting change together with what
    ///   another transaction committed; nil if there is none.
    /// - Throws: ``ConflictError``, ``StorageError``.
    func vote(_ request: CommitRequest, isSole: Bool, resolve: ConflictResolution) throws
        -> any PreparedCommit

    /// Vote and finish in one, of a transaction without other participants. Transactions that come at
    /// the same time may share the work.
    ///
    /// - Returns: its tid; nil if there was nothing to write.
    /// - Throws: ``ConflictError``, ``StorageError``.
    func commit(_ request: CommitRequest, resolve: ConflictResolution) throws -> TID?

    /// What became of a transaction that had other participants.
    func outcome(of id: TransactionID) throws(StorageError) -> TransactionOutcome
    /// Transactions that said yes and whose process died before the decision.
    func inDoubt() throws(StorageError) -> [TransactionID]
    /// Decides a transaction that is in doubt.
    func resolve(_ id: TransactionID, commit: Bool) throws
}

/// What becomes of a change whose record another transaction has changed; nil: a conflict.
typealias ConflictResolution = (_ write: RecordWrite, _ committed: StoredRecord) -> RecordValue?

extension RecordStorage {
    func vote(_ request: CommitRequest, isSole: Bool) throws -> any PreparedCommit {
        try vote(request, isSole: isSole) { _, _ in nil }
    }
}

/// The database at one tid. Usable from any thread.
protocol StorageSnapshot: AnyObject, Sendable {
    var tid: TID { get }

    /// The newest version of a record at this snapshot.
    func record(_ key: RecordKey) throws(StorageError) -> StoredRecord?
    /// Up to `limit` versions of a record that are kept, newest first, before `before`; removals are among them.
    func versions(of key: RecordKey, before: TID, limit: Int) throws(StorageError) -> [StoredRecord]
    /// Up to `limit` parts of an object in key order, from `from` on; never its own state.
    func parts(of oid: OID, from: [UInt8], limit: Int) throws(StorageError) -> [StoredRecord]
    /// Puts the state that an object's entry holds in the place of `state`; false if there is no such entry.
    func entry(_ oid: OID, _ subkey: [UInt8], into state: inout [UInt8]) throws(StorageError) -> Bool
    /// Up to `limit` entries of an object whose subkeys are in `range`, in their order or backwards.
    func entries(of oid: OID, in range: SubkeyRange, reversed: Bool, limit: Int) throws(StorageError)
        -> EntryBatch
    /// How many entries an object has.
    func entryCount(of oid: OID) throws(StorageError) -> Int
    /// What changed after `since`; nil if the log no longer goes back that far.
    func changes(since: TID, excluding own: TID?) throws(StorageError) -> ChangeSet?
    /// Where the blocks of an array can be mapped from.
    func sources(_ oid: OID, _ blocks: Range<Int>, blockSize: Int) throws(StorageError) -> [BlockSource]
    /// Where a block that has this recipe can be mapped from. The recipe may name records that
    /// the running transaction wrote ahead of its commit.
    func source(_ recipe: BlockRecipe, blockSize: Int) throws(StorageError) -> BlockSource
    /// The pages of `changed` whose bytes differ from what the recipe says.
    func differences(_ recipe: BlockRecipe, _ bytes: UnsafeRawBufferPointer, _ changed: PageSet)
        throws(StorageError) -> PageSet
    /// Copies what is stored of block `number` to `buffer`, which has zeros, and checks it against
    /// its checksums.
    func read(_ recipe: BlockRecipe, ofBlock number: Int, into buffer: UnsafeMutableRawBufferPointer)
        throws(StorageError)
    /// Calls `body` with the stored pages of a block where the storage has them, ascending: their offset
    /// in the block, and their bytes. False if they can only be read otherwise.
    func withPieces(_ recipe: BlockRecipe, _ body: (Int, UnsafeRawBufferPointer) throws -> Void) throws
        -> Bool
    /// Says that these blocks will be read soon, so that it may begin.
    func willRead(_ recipes: [BlockRecipe])
    /// Bytes that the file has for a block with this recipe: for compressed parts as many as they take there.
    func storedBytes(_ recipe: BlockRecipe) throws(StorageError) -> Int
    /// Up to `limit` entries of the log behind `after`, oldest first, fewer if they are large; nil if it no longer goes
    /// back that far.
    func transactions(after: TID, limit: Int) throws(StorageError) -> [TransactionRecord]?
    /// Up to `limit` entries of the log, newest first, before `before`.
    func transactions(before: TID?, limit: Int) throws(StorageError) -> [TransactionRecord]
}

/// A version of a record.
struct StoredRecord: Equatable, Sendable {
    let key: RecordKey
    let tid: TID
    let value: RecordValue
}

/// One change of a record.
struct RecordWrite: Sendable {
    let key: RecordKey
    /// The new value; nil removes the record.
    let value: RecordValue?
    /// The version this transaction started from; nil if there was none.
    let base: TID?
    /// Whether the transaction did not look: it started from whatever its snapshot shows.
    var isBlind = false
}

/// What a transaction wants to commit.
struct CommitRequest: Sendable {
    let id: TransactionID
    let user: String
    let note: String
    let metadata: [String: String]
    let writes: RecordWrites
    /// Blocks whose bytes `blocks` has.
    var blockWrites: [BlockWrite] = []
    /// What others must have left alone beside those blocks.
    var blockEdges: [BlockEdge] = []
    /// Records that must still be at the version read (H12).
    let readings: [(key: RecordKey, base: TID?)]
    var cutOffs: [CutOff] = []
    /// What the transaction looked at; all versions it started from are of this snapshot.
    var snapshot: (any StorageSnapshot)?
    let blocks: any BlockWriter

    /// What its records take, roughly.
    var recordBytes: Int { writes.byteCount + 512 * (writes.count + blockWrites.count) }
}

/// The end of an array file that a transaction cuts off: it removes the blocks
/// it sees there, and must see all.
struct CutOff: Sendable {
    let oid: OID
    let block: Int
    /// The snapshot the transaction looks at.
    let seen: TID

    func covers(_ key: RecordKey) -> Bool { key.oid == oid && key.block.map { $0 >= block } ?? false }
}

/// A transaction that may no longer fail for a reason that could have been found.
protocol PreparedCommit: AnyObject {
    /// Nil if there was nothing to write.
    var tid: TID? { get }
    /// The flip: makes the transaction durable and visible, and releases the commit lock.
    func finish() throws(StorageError)
    /// Forgets it and releases the commit lock.
    func abort()
}

/// Stores the blocks of one transaction ahead of its commit.
protocol BlockWriter: AnyObject, Sendable {
    /// Says that these blocks will be stored next, each of them with all its pages.
    func expect(_ oid: OID, _ blocks: Range<Int>, blockSize: Int) throws(StorageError)
    /// Takes pages of a block; nil if there are none. The id of the part may be preliminary:
    /// the commit puts the final one in its place. Never so if it writes ahead.
    func store(_ block: NewBlock) throws(StorageError) -> BlockPart?
    /// Lets go of whatever it holds to write faster; more may be stored afterwards.
    func flush() throws(StorageError)
    /// Drops everything it stored.
    func discard()
}

/// Pages of a block to store. The bytes are read during the call only.
@unsafe
struct NewBlock {
    let oid: OID
    let number: Int
    /// The whole block.
    let bytes: UnsafeRawBufferPointer
    /// The pages to store.
    let pages: PageSet
    /// How to compress them, where it pays.
    var compression: BlockCompression?
}

/// What a transaction wants a block to become.
struct BlockWrite: Sendable {
    let key: RecordKey
    /// The version it started from; nil if there was none.
    let base: TID?
    let baseRecipe: BlockRecipe
    let patch: BlockPatch
    /// How many pages next to a changed one may hold parts of the same element: changes this
    /// close to each other conflict.
    let spread: Int
}

/// Pages of a block that must be as a transaction saw them, because elements it changed in a
/// neighbouring block reach into them.
struct BlockEdge: Sendable {
    let key: RecordKey
    /// The version the transaction saw; nil if there was none.
    let base: TID?
    let baseRecipe: BlockRecipe
    let pages: PageSet
}

/// What became of a transaction.
public enum TransactionOutcome: Equatable, Sendable {
    /// Committed as this transaction.
    case committed(TID)
    /// Aborted, or never seen.
    case aborted
    /// It said yes, and nobody has decided yet.
    case inDoubt
}

/// What a commit survives.
public enum Durability: String, Sendable, CaseIterable {
    /// A commit that returned survives a power cut. The default.
    case full
    /// A power cut may undo the last commits, whole ones, in order.
    case noMetaSync
    /// A power cut may damage the database. For data that can be made again.
    case none
}
