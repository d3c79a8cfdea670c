internal import CLMDB
internal import Synchronization
internal import VirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// The embedded storage engine: records and blocks in one LMDB file.
final class LMDBStorage: RecordStorage {
    let environment: LMDBEnvironment
    let format: FileFormat
    let commitLock: CommitLock
    let commitQueue = CommitQueue()
    let owner: OwnerSlot?
    /// Bytes in a block of arrays made without another wish.
    let blockSize: Int
    /// The same of their compression.
    let compression: ArrayCompression
    /// How many entries the transactions log keeps.
    let logLimit: Int
    /// Whether blocks can be mapped from the file.
    let isZeroCopy: Bool
    /// Whether the checksums of a block are checked before it is mapped.
    let verifiesOnLoad: Bool
    /// Blocks written and abandoned: the next transaction that writes drops them.
    let garbage = Mutex<[BlockID]>([])
    /// Extents that few blocks rely on any more.
    let sparse = Mutex<Set<BlockID>>([])
    /// Whether commits move the rest of such extents away.
    let compactsAutomatically: Bool
    /// Counts commits, to look for snapshots of dead processes now and then.
    private let commits = Atomic(0)
    /// Whether old versions of records are kept.
    let keepsHistory: Bool
    /// Whether this process is packing.
    let isPacking = Mutex(false)
    /// Tells the blocks of each array file from those of all others in the RAM pool.
    private let frameDomains = Mutex<[OID: UInt64]>([:])
    private static let lastFrameDomain = Atomic<UInt64>(0)
    /// Tells the time, in microseconds since 1970.
    let clock = Mutex(Clock(now: LMDBStorage.systemClock))
    private let oids = Mutex(OIDRange())

    /// A function kept in a generic type would be wrapped anew each time it is taken out.
    struct Clock: Sendable {
        let now: @Sendable () -> UInt64
    }

    private struct OIDRange {
        var next: UInt64 = 0
        var end: UInt64 = 0
        var lastBatch = 0
    }

    struct Options: Sendable {
        var environment = LMDBEnvironment.Options()
        var create = false
        /// The block size of a new database.
        var blockSize = 2 << 20
        /// The compression of arrays of a new database.
        var compression = ArrayCompression.none
        /// Whether a new database keeps old versions of records.
        var keepsHistory = false
        var logLimit = 100_000
        var compactsAutomatically = true
        var allowsZeroCopy = true
        var verifiesOnLoad = false
    }

    var path: String { environment.path }
    var isReadOnly: Bool { environment.options.isReadOnly }

    init(_ path: String, _ options: Options) throws(StorageError) {
        let blockSize = options.blockSize
        guard blockSize > 0, blockSize % systemPageSize == 0, blockSize <= 1 << 30 else {
            throw .protocolViolation(
                "block size \(blockSize): choose a multiple of \(systemPageSize) bytes up to 1 GiB")
        }
        let opening = try LMDBOpening(path, isReadOnly: options.environment.isReadOnly)
        environment = try LMDBEnvironment(path, options.environment, create: options.create)
        try LengthCheck.run(environment)
        if let opened = try FileFormat.open(environment) {
            format = opened
        } else if options.create, !options.environment.isReadOnly {
            format = try FileFormat.create(
                environment, blockSize: blockSize, compression: options.compression,
                keepsHistory: options.keepsHistory)
        } else {
            throw .notADatabase(path: path, reason: "it is an LMDB file without content")
        }
        logLimit = options.logLimit
        compactsAutomatically = options.compactsAutomatically
        verifiesOnLoad = options.verifiesOnLoad
        commitLock = CommitLock(environment.descriptor, path: path)

        let meta = format.meta
        let environment = self.environment
        let allowsZeroCopy = options.allowsZeroCopy
        compression = try Self.compression(environment, meta)
        let (size, history, holds) = unsafe try environment.read { transaction throws(StorageError) in
            let size = try unsafe Int(transaction.counter(meta, FileFormat.MetaKey.blockSize))
            let history = try unsafe transaction.counter(meta, FileFormat.MetaKey.keepsHistory) != 0
            guard allowsZeroCopy else { return (size, history, false) }
            return (size, history, try unsafe PayloadProbe.holds(environment, transaction, meta))
        }
        keepsHistory = history
        self.blockSize = size
        isZeroCopy = holds
        owner = options.environment.isReadOnly ? nil : try OwnerSlot(environment.descriptor, path: path)
        try opening.finish(self)
        if owner != nil { try dropPendingOfTheDead() }
    }

    deinit {
        try? dropGarbage()
        environment.journal.close(environment)
    }

    private static func compression(_ environment: LMDBEnvironment, _ meta: LMDBTree) throws(StorageError)
        -> ArrayCompression
    {
        unsafe try environment.read { transaction throws(StorageError) in
            guard let value = unsafe try transaction.get(meta, FileFormat.MetaKey.compression) else {
                return .none
            }
            let text = unsafe String(decoding: value, as: UTF8.self)
            guard let compression = ArrayCompression(text) else {
                throw .corrupt(path: environment.path, what: "unknown compression \"\(text)\"")
            }
            return compression
        }
    }

    /// After a commit: snapshots of processes that died pin pages until somebody looks.
    func noteCommit() {
        if commits.wrappingAdd(1, ordering: .relaxed).newValue % 256 == 0 { environment.dropDeadReaders() }
    }

    private static let systemClock: @Sendable () -> UInt64 = {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }

    /// Microseconds since 1970.
    var now: UInt64 { clock.withLock { $0 }.now() }

    // MARK: Snapshots

    func openSnapshot() throws(StorageError) -> any StorageSnapshot { try LMDBSnapshot(self) }

    // MARK: Object numbers

    /// Numbers are taken from the file in batches that grow with use, so that
    /// few commits pay for it. A batch not used up is a gap, nothing else.
    func reserveOIDs(upTo count: Int) throws(StorageError) -> Range<UInt64> {
        func take(_ range: inout OIDRange) -> Range<UInt64> {
            let end = min(range.end, range.next + UInt64(count))
            defer { range.next = end }
            return range.next..<end
        }
        let ready = oids.withLock { take(&$0) }
        if !ready.isEmpty { return ready }
        let batch = oids.withLock { range in
            range.lastBatch = min(max(range.lastBatch * 4, 64), 1 << 16)
            return range.lastBatch
        }
        let meta = format.meta
        // Entries of the journal say which numbers were given out.
        let first = unsafe try environment.write(.uncertain) { transaction throws(WriteFailure) in
            try unsafe transaction.take(batch, from: meta, FileFormat.MetaKey.nextOID)
        }
        return oids.withLock { range in
            // Another thread may have fetched a batch too: the rest of ours becomes the range.
            range.next = first
            range.end = first + UInt64(batch)
            return take(&range)
        }
    }

    // MARK: Blocks written ahead

    func makeBlockWriter(isAhead: Bool) -> any BlockWriter { LMDBBlockWriter(self, isAhead: isAhead) }

    /// Tells an array file's blocks from all others in the process.
    func frameDomain(of oid: OID) -> UInt64 {
        frameDomains.withLock { domains in
            if let domain = domains[oid] { return domain }
            let domain = Self.lastFrameDomain.wrappingAdd(1, ordering: .relaxed).newValue
            domains[oid] = domain
            return domain
        }
    }

    /// Removes what processes that died had written ahead of a commit that never came.
    private func dropPendingOfTheDead() throws(StorageError) {
        let format = self.format
        let descriptor = environment.descriptor
        let dead = unsafe try environment.read { transaction throws(StorageError) -> [([UInt8], BlockID)] in
            var found: [([UInt8], BlockID)] = []
            let cursor = try unsafe transaction.cursor(format.pending)
            var entry = unsafe try cursor.first()
            while let at = unsafe entry {
                if let (slot, block) = unsafe OwnerSlot.decode(at.key), !OwnerSlot.isAlive(slot, descriptor) {
                    unsafe found.append((at.key, block))
                }
                unsafe entry = try cursor.next()
            }
            return found
        }
        // In pieces, so that no transaction grows with what was left behind.
        for start in stride(from: 0, to: dead.count, by: mostDroppedAtOnce) {
            let piece = dead[start..<min(start + mostDroppedAtOnce, dead.count)]
            unsafe try environment.write { transaction throws(WriteFailure) in
                for (key, block) in piece {
                    try unsafe drop(block, transaction)
                    try unsafe transaction.delete(format.pending, key)
                }
            }
        }
    }

    /// Removes abandoned blocks within a transaction that writes anyway.
    func dropGarbage(_ transaction: LMDBTransaction, _ ids: [BlockID]) throws(WriteFailure) {
        for id in ids {
            try unsafe drop(id, transaction)
            if let owner { try unsafe transaction.delete(format.pending, owner.key(id)) }
        }
    }

    private func dropGarbage() throws(StorageError) {
        let ids = garbage.withLock { $0 }
        for start in stride(from: 0, to: ids.count, by: mostDroppedAtOnce) {
            let piece = Array(ids[start..<min(start + mostDroppedAtOnce, ids.count)])
            unsafe try environment.write { transaction throws(WriteFailure) in
                try unsafe dropGarbage(transaction, piece)
            }
            forgetGarbage(piece)
        }
    }

    /// How many block records one transaction removes: LMDB's list of what they free takes room
    /// itself, which a full file does not have.
    var mostDroppedAtOnce: Int { environment.isNearlyFull ? 32 : 1024 }

    /// Drops abandoned blocks at once if others may need their room. What waits for a commit would wait
    /// for one that finds no room.
    func makeRoomOfGarbage() {
        if environment.isNearlyFull { try? dropGarbage() }
    }
}

extension LMDBEnvironment {
    /// Runs `body` in a read transaction of its own.
    func read<R>(_ body: (LMDBTransaction) throws(StorageError) -> R) throws(StorageError) -> R {
        let transaction = unsafe LMDBTransaction(pointer: try beginRead(), path: path)
        gate.enter()
        defer {
            unsafe transaction.abort()
            gate.leave()
        }
        return try unsafe body(transaction)
    }
}
