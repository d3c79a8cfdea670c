internal import VirtMem

/// Facts about a database file.
public struct DatabaseInformation: Sendable, Equatable {
    /// The file's path.
    public let path: String
    /// The version of the file format.
    public let formatVersion: UInt32
    /// Bytes of the file.
    public let fileBytes: Int
    /// Bytes of the file up to the last page ever used.
    public let usedBytes: Int
    /// Bytes in a block of arrays made without another wish.
    public let blockSize: Int
    /// The compression of arrays made without another wish.
    public let compression: ArrayCompression
    /// Records stored.
    public let records: Int
    /// Block records stored.
    public let blocks: Int
    /// Block records written ahead of a commit that has not come.
    public let pendingBlocks: Int
    /// Transactions in the log.
    public let transactions: Int
    /// Transactions that said yes and are not decided.
    public let preparedTransactions: Int
    /// The last transaction.
    public let lastTID: TID
    /// From when on old versions are kept; nil if none are.
    public let historyStart: TID?
    /// Whether blocks are mapped from the file rather than copied.
    public let mapsBlocks: Bool
}

extension Database {
    /// Facts about the file, as of its last transaction.
    public func information() throws -> DatabaseInformation {
        let storage = try openStorage()
        let format = storage.format
        let (used, length) = storage.environment.extent()
        return unsafe try storage.environment.read { transaction throws(StorageError) in
            DatabaseInformation(
                path: path, formatVersion: FileFormat.version, fileBytes: length, usedBytes: used,
                blockSize: storage.blockSize, compression: storage.compression,
                records: try unsafe transaction.statistics(format.records).entries,
                blocks: try unsafe transaction.statistics(format.blocks).entries,
                pendingBlocks: try unsafe transaction.statistics(format.pending).entries,
                transactions: try unsafe transaction.statistics(format.transactions).entries,
                preparedTransactions: try unsafe transaction.statistics(format.prepared).entries,
                lastTID: TID(
                    rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID)),
                historyStart: storage.keepsHistory ? try unsafe storage.oldestKept(transaction) : nil,
                mapsBlocks: storage.isZeroCopy)
        }
    }

    /// The transactions log, newest first.
    ///
    /// - Parameters:
    ///   - before: only transactions before this one.
    ///   - limit: how many at most.
    public func transactions(before: TID? = nil, limit: Int) throws -> [TransactionRecord] {
        try openStorage().openSnapshot().transactions(before: before, limit: limit)
    }

    /// Reads everything and checks it against its checksums and against each other, and the nodes of lists.
    ///
    /// - Parameter progress: called for every block.
    /// - Throws: ``StorageError`` if the file is too damaged to be walked through.
    public func verify(progress: (VerifyProgress) -> Void = { _ in }) throws -> VerifyReport {
        let storage = try openStorage()
        var lists: [OID] = []
        var report = try LMDBVerify.run(storage, progress) { oid, state in
            var reader = CBORReader(state)
            if (try? RecordHead(&reader))?.className == ListObject.className { lists.append(oid) }
        }
        report.problems += ListCheck.problems(of: lists, try storage.openSnapshot(), path)
        return report
    }
}

extension BigArray {
    /// How many blocks are stored for this array, and the bytes they take: without pages of
    /// zeros, and compressed where they are. Changes of this transaction are not counted.
    ///
    /// - Complexity: O(stored blocks).
    public func storedBlocks() throws -> (blocks: Int, bytes: Int) {
        try activate()
        guard let connection, let oid = file.oid else { return (0, 0) }
        let snapshot = try connection.snapshot
        var (blocks, bytes) = (0, 0)
        var from: [UInt8] = []
        while true {
            let page = try snapshot.parts(of: oid, from: from, limit: 1000)
            for record in page {
                guard record.key.block != nil else { continue }
                blocks += 1
                bytes += try record.value.recipe.map { try snapshot.storedBytes($0) } ?? 0
            }
            guard let last = page.last, page.count == 1000 else { return (blocks, bytes) }
            from = last.key.subkey + [0]
        }
    }
}
