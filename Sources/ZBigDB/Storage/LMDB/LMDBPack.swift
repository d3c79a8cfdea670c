internal import CLMDB

/// How far packing has come.
public struct PackProgress: Sendable {
    /// What packing does.
    public enum Phase: String, Sendable {
        /// It finds out which objects can be reached.
        case marking
        /// It takes out what is not needed.
        case removing
    }

    /// What it does now.
    public let phase: Phase
    /// Records looked at.
    public let done: Int
    /// Records there were at the beginning.
    public let total: Int
}

/// What packing did.
public struct PackReport: Sendable, Equatable {
    /// From this moment on everything is kept; nil if the database keeps no history.
    public internal(set) var start: TID?
    /// Old versions of records it removed.
    public internal(set) var removedVersions = 0
    /// Objects it removed because nothing led to them.
    public internal(set) var removedObjects = 0
    /// Bytes of the file up to the last page ever used, before.
    public internal(set) var usedBytesBefore = 0
    /// The same afterwards.
    public internal(set) var usedBytesAfter = 0
}

/// Removes versions nobody can look at any more, and objects nothing leads to.
///
/// First the moment is noted from which on versions are kept: nobody opens an older one any more. Then it finds what
/// can be reached, without a lock. Then it goes through all records, also without a lock, and takes out what it
/// finds in LMDB transactions of bounded size under the commit lock, each of which is complete: so it can be given up,
/// or killed, at any time. ARCHITECTURE.md says why nothing is lost that becomes reachable meanwhile.
struct LMDBPack {
    /// Records looked at in one read transaction.
    private static let slice = 20_000
    /// Objects collected together.
    private static let objectsAtOnce = 512

    private let storage: LMDBStorage
    private let retention: Retention
    private let total: Int
    private let progress: (PackProgress) throws -> Void
    private var marker: LMDBMarker?
    private(set) var report = PackReport()

    /// Packs the database.
    ///
    /// - Parameter moment: before it versions go; nil for the present.
    static func run(
        _ storage: LMDBStorage, before moment: Moment?, collectsGarbage: Bool,
        _ progress: @escaping (PackProgress) throws -> Void
    ) throws -> PackReport {
        if storage.isReadOnly { throw StorageError.readOnly(path: storage.path) }
        try storage.beginPacking()
        defer { storage.endPacking() }
        var pack = LMDBPack(
            storage: storage, retention: try storage.beginRetention(moment), total: try storage.recordCount(),
            progress: progress)
        pack.report.usedBytesBefore = storage.environment.usedBytes
        if collectsGarbage { try pack.mark() }
        try pack.sweep()
        pack.report.usedBytesAfter = storage.environment.usedBytes
        return pack.report
    }

    private init(
        storage: LMDBStorage, retention: Retention, total: Int,
        progress: @escaping (PackProgress) throws -> Void
    ) {
        self.storage = storage
        self.retention = retention
        self.total = total
        self.progress = progress
        report.start = storage.keepsHistory ? retention.start : nil
    }

    // MARK: Marking

    /// Finds what can be reached, from the beginning.
    private mutating func mark() throws {
        let (last, logStart) = unsafe try storage.environment.read { transaction throws(StorageError) in
            let meta = storage.format.meta
            return (
                try unsafe transaction.counter(meta, FileFormat.MetaKey.lastTID),
                try unsafe transaction.counter(meta, FileFormat.MetaKey.logStart)
            )
        }
        // What changed after the moment counts as reached: it may be undone.
        let since = storage.keepsHistory ? max(retention.start.rawValue, logStart) : last
        try finishMarking(LMDBMarker(storage, retention, since: TID(rawValue: since)))
    }

    /// Looks at what is left to look at.
    private mutating func finishMarking(_ begun: LMDBMarker) throws {
        var marker = begun
        var done = 0
        repeat {
            let looked = unsafe try storage.environment.read { transaction throws(StorageError) -> Int? in
                guard try unsafe marker.catchUp(transaction) else { return nil }
                return try unsafe marker.step(transaction, limit: Self.slice)
            }
            // The log no longer has what came since.
            guard let looked else { return try mark() }
            done += looked
            try progress(PackProgress(phase: .marking, done: min(done, total), total: total))
        } while !marker.isDone
        self.marker = marker
    }

    // MARK: Removing

    private mutating func sweep() throws {
        var from: [UInt8]? = []
        var done = 0
        while let start = from {
            let page = unsafe try storage.environment.read { transaction throws(StorageError) in
                try unsafe SweepPage(
                    storage, transaction, retention, marker?.reached, from: start, limit: Self.slice)
            }
            try remove(page.versions)
            for start in stride(from: 0, to: page.garbage.count, by: Self.objectsAtOnce) {
                try collect(Array(page.garbage[start..<min(start + Self.objectsAtOnce, page.garbage.count)]))
            }
            from = page.next
            done += page.looked
            try progress(PackProgress(phase: .removing, done: min(done, total), total: total))
        }
    }

    private mutating func remove(_ versions: [(key: RecordKey, tid: TID)]) throws {
        var rest = versions[...]
        while !rest.isEmpty {
            let piece = rest.prefix(storage.mostDroppedAtOnce)
            report.removedVersions += try unsafe storage.writeAlone { transaction in
                try unsafe storage.requireDecided(transaction)
                let cursor = try unsafe transaction.cursor(storage.format.records)
                var removed = 0
                for (key, tid) in piece where try unsafe storage.removeVersion(key, tid, cursor, transaction)
                {
                    removed += 1
                }
                return removed
            }
            rest = rest.dropFirst(piece.count)
        }
    }

    /// Removes objects, unless something led to them again meanwhile.
    private mutating func collect(_ oids: [OID]) throws {
        var rest = oids
        var hasStates = true
        while !rest.isEmpty {
            guard var marker = marker.take() else { return }
            let left = try unsafe storage.writeAlone { transaction -> [OID]? in
                try unsafe storage.requireDecided(transaction)
                guard try unsafe marker.catchUp(transaction) else { return nil }
                _ = try unsafe marker.step(transaction, limit: Self.slice)
                // More has become reachable than can be looked at under the lock.
                guard marker.isDone else { return nil }
                let gone = rest.filter { !marker.reached.contains($0) }
                return try unsafe storage.collect(gone, hasStates: hasStates, transaction)
            }
            self.marker = marker
            if let left {
                if hasStates { report.removedObjects += rest.count(where: { !marker.reached.contains($0) }) }
                hasStates = false
                rest = left
            } else {
                try finishMarking(marker)
            }
        }
    }
}

extension LMDBStorage {
    /// Notes from when on versions are kept. No older moment is opened, undone or tagged from now on.
    fileprivate func beginRetention(_ moment: Moment?) throws -> Retention {
        try unsafe writeAlone { transaction in
            try unsafe requireDecided(transaction)
            guard keepsHistory else { return .everything }
            let last = TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID))
            let old = try unsafe historyStart(transaction)
            let start = max(old, try moment.map { try unsafe resolve($0, transaction) } ?? last)
            if start > old {
                try unsafe transaction.setCounter(
                    format.meta, FileFormat.MetaKey.historyStart, start.rawValue)
            }
            return Retention(start: start, tagged: try unsafe tags(transaction).map(\.tid))
        }
    }

    /// What a transaction in doubt wants to store must find what it refers to.
    fileprivate func requireDecided(_ transaction: LMDBTransaction) throws {
        try unsafe refuseInDoubt(transaction) { _ in true }
    }

    /// Removes as much of some objects as fits in one transaction, their states first: from then on
    /// nothing can refer to them. Returns those that have records left.
    fileprivate func collect(_ oids: [OID], hasStates: Bool, _ transaction: LMDBTransaction) throws -> [OID] {
        var changes = ChangeSet()
        var rest = oids
        do {
            let cursor = try unsafe transaction.cursor(format.records)
            if hasStates {
                for oid in oids {
                    try removeState(of: oid, cursor)
                    changes.insert(RecordKey(oid))
                }
            }
            var budget = mostDroppedAtOnce
            while budget > 0, let oid = rest.last {
                let keys = try unsafe removeRecords(of: oid, limit: budget, cursor, transaction)
                for key in keys where key.block != nil { changes.insert(key) }
                budget -= keys.count
                if budget > 0 { rest.removeLast() }
            }
        }
        // The log has it among the moves: for who has them in memory, not to be undone.
        if changes.isEmpty { return rest }
        let tid = try unsafe nextTID(transaction)
        let record = TransactionRecord(
            tid: tid, id: TransactionID(), user: "", note: "packing", metadata: [:], changes: ChangeSet(),
            moves: changes)
        try unsafe append(record.encoded(), tid, transaction)
        try unsafe noteRemoval(tid, transaction)
        return rest
    }
}
