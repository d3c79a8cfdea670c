/// The trees of a database file and what `meta` holds (FORMAT.md).
struct FileFormat: Sendable {
    static let version: UInt32 = 2
    static let signature = Array("ZBigDB".utf8)

    let records: LMDBTree
    let blocks: LMDBTree
    let transactions: LMDBTree
    let meta: LMDBTree
    let pending: LMDBTree
    let prepared: LMDBTree
    let outcomes: LMDBTree
    let shares: LMDBTree

    /// Keys of `meta`.
    enum MetaKey {
        static let format = Array("format".utf8)
        static let lastTID = Array("last-tid".utf8)
        static let logStart = Array("log-start".utf8)
        static let nextOID = Array("next-oid".utf8)
        static let nextBlock = Array("next-block".utf8)
        static let blockSize = Array("block-size".utf8)
        static let probe = Array("probe".utf8)
        static let keepsHistory = Array("keeps-history".utf8)
        static let historyStart = Array("history-start".utf8)
        static let lastRemoval = Array("last-removal".utf8)
        /// What the names of tags follow.
        static let tag = Array("tag/".utf8)
        static let compression = Array("compression".utf8)
    }

    /// Opens the trees of an existing database. Nil if the file has no content at all.
    static func open(_ environment: LMDBEnvironment) throws(StorageError) -> FileFormat? {
        let path = environment.path
        let transaction = unsafe LMDBTransaction(pointer: try environment.beginRead(), path: path)
        var isKept = false
        defer { if !isKept { unsafe transaction.abort() } }
        environment.gate.enter()
        defer { environment.gate.leave() }

        guard let main = unsafe try transaction.tree(nil) else { return nil }
        if unsafe try transaction.statistics(main).entries == 0 { return nil }
        guard let meta = unsafe try transaction.tree("meta"),
            let format = unsafe try transaction.get(meta, MetaKey.format)
        else {
            throw .notADatabase(path: path, reason: "it is an LMDB file of another program")
        }
        let bytes = unsafe Array(format)
        guard bytes.count == signature.count + 4, Array(bytes.prefix(signature.count)) == signature else {
            throw .notADatabase(path: path, reason: "it is an LMDB file of another program")
        }
        let version = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard version == Self.version else {
            throw .unsupportedVersion(path: path, found: version, supported: Self.version)
        }
        func tree(_ name: String) throws(StorageError) -> LMDBTree {
            guard let tree = unsafe try transaction.tree(name) else {
                throw .corrupt(path: path, what: "the tree \"\(name)\" is missing")
            }
            return tree
        }
        let opened = FileFormat(
            records: try tree("records"), blocks: try tree("blocks"), transactions: try tree("transactions"),
            meta: meta, pending: try tree("pending"), prepared: try tree("prepared"),
            outcomes: try tree("outcomes"), shares: try tree("shares"))
        isKept = true
        unsafe try transaction.keepTrees()
        return opened
    }

    /// Makes the trees of a new database, in one transaction.
    static func create(
        _ environment: LMDBEnvironment, blockSize: Int, compression: ArrayCompression, keepsHistory: Bool
    ) throws(StorageError) -> FileFormat {
        unsafe try environment.write { transaction throws(WriteFailure) in
            func tree(_ name: String) throws(WriteFailure) -> LMDBTree {
                do throws(StorageError) {
                    guard let tree = unsafe try transaction.tree(name, create: true) else {
                        throw .corrupt(path: environment.path, what: "the tree \"\(name)\" cannot be made")
                    }
                    return tree
                } catch {
                    throw .failed(error)
                }
            }
            let format = FileFormat(
                records: try tree("records"), blocks: try tree("blocks"),
                transactions: try tree("transactions"),
                meta: try tree("meta"), pending: try tree("pending"), prepared: try tree("prepared"),
                outcomes: try tree("outcomes"), shares: try tree("shares"))
            // Another process may have been faster since this one found nothing.
            let isMade: Bool
            do throws(StorageError) {
                isMade = unsafe try transaction.get(format.meta, MetaKey.format) != nil
            } catch {
                throw .failed(error)
            }
            if isMade { return format }
            var writer = ByteWriter()
            writer.raw(signature)
            writer.integer(version)
            unsafe try transaction.put(format.meta, MetaKey.format, writer.bytes)
            for key in [MetaKey.lastTID, MetaKey.logStart, MetaKey.nextBlock] {
                unsafe try transaction.setCounter(format.meta, key, 0)
            }
            unsafe try transaction.setCounter(format.meta, MetaKey.nextOID, 1)
            unsafe try transaction.setCounter(format.meta, MetaKey.blockSize, UInt64(blockSize))
            unsafe try transaction.put(format.meta, MetaKey.probe, PayloadProbe.record)
            if compression != .none {
                unsafe try transaction.put(
                    format.meta, MetaKey.compression, Array(compression.description.utf8))
            }
            if keepsHistory { unsafe try transaction.setCounter(format.meta, MetaKey.keepsHistory, 1) }
            return format
        }
    }
}

extension LMDBTransaction {
    /// A counter of `meta`; 0 if it is not there.
    func counter(_ meta: LMDBTree, _ key: [UInt8]) throws(StorageError) -> UInt64 {
        guard let value = unsafe try get(meta, key) else { return 0 }
        guard value.count == 8 else {
            throw unsafe .corrupt(path: path, what: "a counter has \(value.count) bytes")
        }
        return unsafe UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))
    }

    func setCounter(_ meta: LMDBTree, _ key: [UInt8], _ value: UInt64) throws(WriteFailure) {
        var writer = ByteWriter()
        writer.integer(value)
        unsafe try put(meta, key, writer.bytes)
    }

    /// Takes `count` numbers from a counter; returns the first.
    func take(_ count: Int, from meta: LMDBTree, _ key: [UInt8]) throws(WriteFailure) -> UInt64 {
        let first: UInt64
        do throws(StorageError) { first = try unsafe counter(meta, key) } catch { throw .failed(error) }
        try unsafe setCounter(meta, key, first + UInt64(count))
        return first
    }
}
