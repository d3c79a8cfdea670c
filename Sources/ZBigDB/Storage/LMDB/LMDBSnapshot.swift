internal import CLMDB
internal import VirtMem

/// A read transaction and the last committed tid it sees.
///
/// S, its lock, is held for cursor work only: LMDB lets one thread at a time
/// use a read transaction. The pages it sees are not reused while it is open,
/// so what is mapped from them does not change; it ends when the last user lets
/// go of it.
@safe
final class LMDBSnapshot: StorageSnapshot {
    let tid: TID
    private let storage: LMDBStorage
    nonisolated(unsafe) private let pointer: OpaquePointer
    private let s = Lock()
    // A cursor on `records`, kept for the next look-up; touched under S only.
    nonisolated(unsafe) private var cursor: LMDBCursor?
    nonisolated(unsafe) private var generation = -1

    init(_ storage: LMDBStorage) throws(StorageError) {
        self.storage = storage
        let environment = storage.environment
        let pointer = unsafe try environment.beginRead()
        unsafe self.pointer = pointer
        let transaction = unsafe LMDBTransaction(pointer: pointer, path: environment.path)
        environment.gate.enter()
        defer { environment.gate.leave() }
        tid = TID(rawValue: try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.lastTID))
    }

    deinit {
        unsafe cursor = nil
        unsafe mdb_txn_abort(pointer)
    }

    private var transaction: LMDBTransaction { unsafe LMDBTransaction(pointer: pointer, path: storage.path) }

    /// Runs `body` under S, inside the gate, with a cursor on `records`.
    private func withRecords<R>(
        _ body: (borrowing LMDBCursor, LMDBTransaction) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        let environment = storage.environment
        environment.gate.enter()
        defer { environment.gate.leave() }
        return try s { () throws(StorageError) -> R in
            if unsafe generation != environment.generation { unsafe cursor = nil }
            unsafe generation = environment.generation
            if unsafe self.cursor == nil {
                unsafe self.cursor = unsafe try transaction.cursor(storage.format.records)
            }
            guard let cursor = unsafe self.cursor.take() else {
                preconditionFailure("a cursor was just made")
            }
            let result = try unsafe body(cursor, transaction)
            unsafe self.cursor = consume cursor
            return result
        }
    }

    // MARK: Records

    func record(_ key: RecordKey) throws(StorageError) -> StoredRecord? {
        unsafe try withRecords { cursor, _ throws(StorageError) in try find(key, cursor) }
    }

    private func find(_ key: RecordKey, _ cursor: borrowing LMDBCursor) throws(StorageError) -> StoredRecord?
    {
        guard let entry = unsafe try cursor.seek(key.encoded(tid)),
            let (found, tid) = unsafe RecordKey.decode(entry.key), found == key
        else { return nil }
        return StoredRecord(key: key, tid: tid, value: try unsafe value(of: entry))
    }

    private func value(of entry: LMDBEntry) throws(StorageError) -> RecordValue {
        do throws(ByteReader.Malformed) {
            return try unsafe RecordValue(decoding: Array(entry.value))
        } catch {
            let name =
                unsafe RecordKey.decode(entry.key).map { "\($0.key.oid), \($0.key.part)" } ?? "a record"
            throw .corrupt(path: storage.path, what: "\(name) cannot be read")
        }
    }

    func parts(of oid: OID, from: [UInt8], limit: Int) throws(StorageError) -> [StoredRecord] {
        unsafe try withRecords { cursor, _ throws(StorageError) in
            var found: [StoredRecord] = []
            // Without a tid: the object's own state sorts behind its parts.
            var entry = unsafe try cursor.seek(oid.rawValue.bigEndianBytes + from)
            while let at = unsafe entry, let (key, version) = unsafe RecordKey.decode(at.key), key.oid == oid
            {
                // A subkey that `from` continues comes again: the tid behind it is larger.
                if version <= tid, !key.subkey.isEmpty, found.last?.key != key,
                    !key.subkey.lexicographicallyPrecedes(from)
                {
                    if found.count == limit { break }
                    found.append(StoredRecord(key: key, tid: version, value: try unsafe value(of: at)))
                }
                unsafe entry = try cursor.next()
            }
            return found
        }
    }

    // MARK: Blocks

    func sources(_ oid: OID, _ blocks: Range<Int>, blockSize: Int) throws(StorageError) -> [BlockSource] {
        var result = [BlockSource](repeating: .hole, count: blocks.count)
        if blocks.isEmpty { return result }
        return unsafe try withRecords { cursor, transaction throws(StorageError) in
            var entry = unsafe try cursor.seek(RecordKey(oid, block: blocks.lowerBound).encoded(tid))
            var last = -1
            while let at = unsafe entry, let (key, version) = unsafe RecordKey.decode(at.key), key.oid == oid,
                let block = key.block, block < blocks.upperBound
            {
                // The first version that the snapshot sees is the newest.
                if version <= tid, block != last {
                    last = block
                    let record = StoredRecord(key: key, tid: version, value: try unsafe value(of: at))
                    result[block - blocks.lowerBound] =
                        storage.isZeroCopy
                        ? try unsafe source(of: record, blockSize: blockSize, transaction) : copied(record)
                }
                unsafe entry = try cursor.next()
            }
            return result
        }
    }

    /// A block that cannot be mapped is copied, once for all connections: what a
    /// block id names never changes.
    private func copied(_ record: StoredRecord) -> BlockSource {
        guard let block = record.value.referencedBlock else { return .load }
        return .loadShared(FrameKey(domain: storage.frameDomain, content: block.rawValue))
    }

    /// Where a stored block can be mapped from.
    private func source(of record: StoredRecord, blockSize: Int, _ transaction: LMDBTransaction)
        throws(StorageError)
        -> BlockSource
    {
        let (descriptor, bytes) = try unsafe blockRecord(record, transaction)
        let length = Int(descriptor.pages) * systemPageSize
        guard length <= blockSize, Int(descriptor.offset) + length <= bytes.count else {
            throw .corrupt(
                path: storage.path, what: "\(record.key.oid), \(record.key.part): impossible sizes")
        }
        if storage.verifiesOnLoad { try unsafe verify(record, bytes) }
        guard let start = unsafe storage.environment.fileOffset(of: bytes),
            (start + Int(descriptor.offset)) % systemPageSize == 0
        else { return copied(record) }
        if length == 0 { return .hole }
        return .extents([
            FileExtent(
                descriptor: storage.environment.descriptor, fileOffset: start + Int(descriptor.offset),
                length: length)
        ])
    }

    private func verify(_ record: StoredRecord, _ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        let located = try unsafe locate(record, bytes)
        if let page = unsafe located.header.damagedPages(bytes).first {
            throw .corrupt(
                path: storage.path,
                what: "array file \(record.key.oid), \(record.key.part), page \(page): its checksum is wrong")
        }
    }

    @unsafe
    private struct LocatedBlock {
        let header: ZBlkHeader
        let record: UnsafeRawBufferPointer
    }

    @unsafe
    private struct Located {
        let tid: TID
        let block: LocatedBlock
    }

    /// The block record that an array record names. Its bytes are not touched.
    private func blockRecord(_ record: StoredRecord, _ transaction: LMDBTransaction) throws(StorageError)
        -> (BlockDescriptor, UnsafeRawBufferPointer)
    {
        let name = "\(record.key.oid), \(record.key.part)"
        guard case .block(let descriptor) = record.value, descriptor.kind == .full else {
            throw .corrupt(path: storage.path, what: "\(name) is no block this version knows")
        }
        guard
            let bytes = unsafe try transaction.get(
                storage.format.blocks, descriptor.block.rawValue.bigEndianBytes)
        else {
            throw .corrupt(path: storage.path, what: "\(name): its block record is missing")
        }
        return unsafe (descriptor, bytes)
    }

    private func locate(_ record: StoredRecord, _ bytes: UnsafeRawBufferPointer) throws(StorageError)
        -> LocatedBlock
    {
        unsafe storage.environment.willRead(bytes)
        do throws(ZBlkHeader.Damage) {
            return unsafe LocatedBlock(header: try ZBlkHeader(decoding: bytes), record: bytes)
        } catch {
            throw .corrupt(path: storage.path, what: "\(record.key.oid), \(record.key.part): \(error)")
        }
    }

    func withBlock<R>(_ oid: OID, _ block: Int, _ body: (StoredBlock?) throws -> R) throws -> R {
        // The map must not move while `body` reads from it; S is not held then.
        let environment = storage.environment
        environment.gate.enter()
        defer { environment.gate.leave() }
        let found = unsafe try withRecords { cursor, transaction throws(StorageError) -> Located? in
            guard let record = try find(RecordKey(oid, block: block), cursor) else { return nil }
            let block = try unsafe locate(record, blockRecord(record, transaction).1)
            return unsafe Located(tid: record.tid, block: block)
        }
        guard let found = unsafe found else { return try body(nil) }
        let located = unsafe found.block
        let header = unsafe located.header
        let range = header.payloadOffset..<(header.payloadOffset + header.payloadSize)
        let payload = unsafe UnsafeRawBufferPointer(rebasing: located.record[range])
        return try unsafe body(
            StoredBlock(tid: found.tid, header: header, record: located.record, bytes: payload))
    }

    // MARK: The log

    func changes(since: TID, excluding own: TID?) throws(StorageError) -> ChangeSet? {
        var changes = ChangeSet()
        if since >= tid { return changes }
        let format = storage.format
        return try storage.environment.gate.shared { () throws(StorageError) -> ChangeSet? in
            let transaction = unsafe self.transaction
            return try s { () throws(StorageError) -> ChangeSet? in
                let start = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.logStart)
                if since.rawValue < start { return nil }
                let cursor = try unsafe transaction.cursor(format.transactions)
                var entry = unsafe try cursor.seek((since.rawValue + 1).bigEndianBytes)
                while let at = unsafe entry {
                    let record = try unsafe logRecord(at)
                    if record.tid != own { changes.formUnion(record.changes) }
                    unsafe entry = try cursor.next()
                }
                return changes
            }
        }
    }

    func transactions(before: TID?, limit: Int) throws(StorageError) -> [TransactionRecord] {
        let format = storage.format
        return try storage.environment.gate.shared { () throws(StorageError) -> [TransactionRecord] in
            let transaction = unsafe self.transaction
            return try s { () throws(StorageError) -> [TransactionRecord] in
                var found: [TransactionRecord] = []
                let cursor = try unsafe transaction.cursor(format.transactions)
                var entry: LMDBEntry?
                if let before {
                    let isThere = unsafe try cursor.seek(before.rawValue.bigEndianBytes) != nil
                    unsafe entry = isThere ? try cursor.previous() : try cursor.last()
                } else {
                    unsafe entry = try cursor.last()
                }
                while found.count < limit, let at = unsafe entry {
                    found.append(try unsafe logRecord(at))
                    unsafe entry = try cursor.previous()
                }
                return found
            }
        }
    }

    private func logRecord(_ entry: LMDBEntry) throws(StorageError) -> TransactionRecord {
        let tid = unsafe TID(rawValue: UInt64(bigEndianBytes: entry.key[...]))
        do throws(ByteReader.Malformed) {
            return try unsafe TransactionRecord(tid: tid, decoding: Array(entry.value))
        } catch {
            throw .corrupt(path: storage.path, what: "the log entry \(tid) cannot be read")
        }
    }
}
