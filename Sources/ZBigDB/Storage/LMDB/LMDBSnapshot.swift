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
    let storage: LMDBStorage
    nonisolated(unsafe) private let pointer: OpaquePointer
    private let s = Lock()
    /// A cursor on `records`, kept for the next look-up.
    private struct Kept: ~Copyable {
        var cursor: LMDBCursor?
        var generation = -1
    }
    // Touched under S only. Behind a pointer, where no look-up pays for checks of exclusive access.
    nonisolated(unsafe) private let kept: UnsafeMutablePointer<Kept>

    /// The database as its last transaction left it.
    convenience init(_ storage: LMDBStorage) throws(StorageError) {
        let environment = storage.environment
        let pointer = unsafe try environment.beginRead()
        let transaction = unsafe LMDBTransaction(pointer: pointer, path: environment.path)
        let tid: UInt64
        do throws(StorageError) {
            tid = try environment.gate.shared { () throws(StorageError) in
                try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.lastTID)
            }
        } catch {
            unsafe transaction.abort()
            throw error
        }
        unsafe self.init(storage, pointer, tid: TID(rawValue: tid))
    }

    /// Takes over a read transaction, to look at versions up to `tid`.
    init(_ storage: LMDBStorage, _ pointer: OpaquePointer, tid: TID) {
        self.storage = storage
        unsafe self.pointer = pointer
        self.tid = tid
        unsafe kept = .allocate(capacity: 1)
        unsafe kept.initialize(to: Kept())
    }

    deinit {
        unsafe kept.deinitialize(count: 1)
        unsafe kept.deallocate()
        unsafe mdb_txn_abort(pointer)
    }

    var transaction: LMDBTransaction { unsafe LMDBTransaction(pointer: pointer, path: storage.path) }

    /// Runs `body` under S, inside the gate, with a cursor on `records`.
    func withRecords<R>(
        _ body: (borrowing LMDBCursor, LMDBTransaction) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        let environment = storage.environment
        environment.gate.enter()
        defer { environment.gate.leave() }
        return try s { () throws(StorageError) -> R in
            let generation = environment.generation
            if unsafe kept.pointee.generation != generation {
                unsafe kept.pointee = Kept(cursor: nil, generation: generation)
            }
            switch unsafe kept.pointee.cursor {
            case .some(let cursor): return try unsafe body(cursor, transaction)
            case .none:
                let cursor = unsafe try transaction.cursor(storage.format.records)
                let result = try unsafe body(cursor, transaction)
                unsafe kept.pointee.cursor = consume cursor
                return result
            }
        }
    }

    // MARK: Records

    func record(_ key: RecordKey) throws(StorageError) -> StoredRecord? {
        unsafe try withRecords { cursor, _ throws(StorageError) in try find(key, cursor) }
    }

    func find(_ key: RecordKey, _ cursor: borrowing LMDBCursor) throws(StorageError) -> StoredRecord? {
        try unsafe key.withEncoded(tid) { bytes throws(StorageError) in
            guard let place = unsafe try cursor.seek(bytes),
                let tid = unsafe RecordKey.version(of: place.key, like: bytes)
            else { return nil }
            let value = try unsafe value(place.value, of: key)
            return value == .removed ? nil : StoredRecord(key: key, tid: tid, value: value)
        }
    }

    func value(_ bytes: UnsafeRawBufferPointer, of key: RecordKey) throws(StorageError) -> RecordValue {
        // The most frequent kind without a copy on the way.
        if let state = unsafe RecordValue.state(in: bytes) { return .state(state) }
        return try unsafe storage.value(bytes, key)
    }

    func value(of entry: LMDBEntry) throws(StorageError) -> RecordValue {
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
            var last: RecordKey?
            // Without a tid: the object's own state sorts behind its parts.
            var entry = unsafe try cursor.seek(oid.rawValue.bigEndianBytes + from)
            while let at = unsafe entry, let (key, version) = unsafe RecordKey.decode(at.key), key.oid == oid
            {
                // The state comes behind all parts.
                if key.subkey.isEmpty { break }
                // Versions that are too new, and those behind the one that counts, may be many.
                if last == key || version > tid, !key.subkey.precedes(from) {
                    let beyond = SubkeyRange.successor(of: key.subkey)
                    unsafe entry = try cursor.seek(
                        last == key ? oid.rawValue.bigEndianBytes + beyond : key.encoded(tid))
                    continue
                }
                // A subkey that `from` continues comes again: the tid behind it is larger.
                if version <= tid, last != key,
                    !key.subkey.lexicographicallyPrecedes(from)
                {
                    last = key
                    let value = try unsafe value(of: at)
                    if value != .removed {
                        if found.count == limit { break }
                        found.append(StoredRecord(key: key, tid: version, value: value))
                    }
                }
                unsafe entry = try cursor.next()
            }
            return found
        }
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
                    let record = try unsafe logRecord(at, except: own)
                    changes.formUnion(record.changes)
                    // What was moved must be mapped anew, whoever did it.
                    changes.formUnion(moves: record.moves)
                    unsafe entry = try cursor.next()
                }
                return changes
            }
        }
    }

    /// Bytes of log entries that are read at once.
    private static let mostLogBytes = 1 << 20

    func transactions(after: TID, limit: Int) throws(StorageError) -> [TransactionRecord]? {
        let format = storage.format
        return try storage.environment.gate.shared { () throws(StorageError) -> [TransactionRecord]? in
            let transaction = unsafe self.transaction
            return try s { () throws(StorageError) -> [TransactionRecord]? in
                if after >= tid { return [] }
                let start = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.logStart)
                if after.rawValue < start { return nil }
                var found: [TransactionRecord] = []
                var bytes = 0
                let cursor = try unsafe transaction.cursor(format.transactions)
                var entry = unsafe try cursor.seek(after.next.rawValue.bigEndianBytes)
                while found.count < limit, bytes < Self.mostLogBytes, let at = unsafe entry {
                    found.append(try unsafe logRecord(at))
                    unsafe bytes += at.value.count
                    unsafe entry = try cursor.next()
                }
                return found
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

    /// - Parameter own: a transaction whose changes do not matter.
    private func logRecord(_ entry: LMDBEntry, except own: TID? = nil) throws(StorageError)
        -> TransactionRecord
    {
        let tid = unsafe TID(rawValue: UInt64(bigEndianBytes: entry.key[...]))
        do throws(ByteReader.Malformed) {
            return try unsafe TransactionRecord(
                tid: tid, decoding: Array(entry.value), withChanges: tid != own)
        } catch {
            throw .corrupt(path: storage.path, what: "the log entry \(tid) cannot be read")
        }
    }
}

extension LMDBStorage {
    /// The log has all transactions behind this one.
    func logStart() throws(StorageError) -> TID {
        unsafe try environment.read { transaction throws(StorageError) in
            TID(rawValue: try unsafe transaction.counter(format.meta, FileFormat.MetaKey.logStart))
        }
    }
}
