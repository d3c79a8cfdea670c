internal import Synchronization

/// How many blocks rely on a block record, of how many it was written with. Only records
/// that several rely on have this; of the others it is one.
struct Shares: Equatable, Sendable {
    var live: Int
    let total: Int

    init(live: Int, total: Int) {
        self.live = live
        self.total = total
    }

    /// Nil for 0, which is what a missing entry reads as.
    init?(rawValue: UInt64) {
        if rawValue == 0 { return nil }
        live = Int(rawValue & 0xffff_ffff)
        total = Int(rawValue >> 32)
    }

    var rawValue: UInt64 { UInt64(total) << 32 | UInt64(live) }

    /// Whether so few are left that moving them gives back more space than it takes.
    var isSparse: Bool { live > 0 && live * 2 <= total }
}

extension LMDBStorage {
    /// Who relies on a record, if it may be more than one.
    func shares(_ id: BlockID, _ transaction: LMDBTransaction) throws(StorageError) -> Shares? {
        Shares(rawValue: try unsafe transaction.counter(format.shares, id.rawValue.bigEndianBytes))
    }

    func setShares(_ id: BlockID, _ shares: Shares, _ transaction: LMDBTransaction) throws(WriteFailure) {
        try unsafe transaction.setCounter(format.shares, id.rawValue.bigEndianBytes, shares.rawValue)
    }

    /// Removes a block record, whoever names it.
    func drop(_ id: BlockID, _ transaction: LMDBTransaction) throws(WriteFailure) {
        try unsafe transaction.delete(format.blocks, id.rawValue.bigEndianBytes)
        try unsafe transaction.delete(format.shares, id.rawValue.bigEndianBytes)
    }

    /// One block more relies on a record.
    func share(_ id: BlockID, _ transaction: LMDBTransaction) throws {
        guard unsafe try transaction.get(format.blocks, id.rawValue.bigEndianBytes) != nil else {
            throw StorageError.corrupt(path: path, what: "block record \(id.rawValue) is missing")
        }
        var shares = try unsafe self.shares(id, transaction) ?? Shares(live: 1, total: 1)
        shares.live += 1
        try unsafe setShares(id, shares, transaction)
    }

    /// One block less relies on a record; removes it if that was the last.
    func release(_ id: BlockID, _ transaction: LMDBTransaction) throws(WriteFailure) {
        var shares: Shares?
        do throws(StorageError) {
            shares = try unsafe self.shares(id, transaction)
        } catch {
            throw .failed(error)
        }
        shares?.live -= 1
        guard let shares, shares.live > 0 else { return try unsafe drop(id, transaction) }
        try unsafe setShares(id, shares, transaction)
        if shares.isSparse { sparse.withLock { _ = $0.insert(id) } }
    }

    /// Notes how many blocks rely on what a transaction wrote ahead; what was replaced again, or
    /// left by a failure, goes.
    func settle(
        _ contents: LMDBBlockWriter.Contents, _ ids: some Sequence<BlockID>, uses: [BlockID: Int],
        _ transaction: LMDBTransaction
    ) throws(WriteFailure) {
        for id in contents.written + ids {
            let count = uses[id] ?? 0
            if count == 0 {
                try unsafe drop(id, transaction)
            } else if let total = contents.extents[id], total != count {
                let shares = Shares(live: count, total: total)
                try unsafe setShares(id, shares, transaction)
                if shares.isSparse { sparse.withLock { _ = $0.insert(id) } }
            }
        }
    }
}
