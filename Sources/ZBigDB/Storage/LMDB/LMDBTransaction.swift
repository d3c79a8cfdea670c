internal import CLMDB

#if canImport(Glibc)
    internal import Glibc
#endif

/// A named tree of an LMDB file.
struct LMDBTree: Sendable {
    let handle: MDB_dbi
}

/// The operations both kinds of LMDB transaction have. It does not own the
/// transaction: ``LMDBSnapshot`` and ``LMDBWrite`` do. Memory it hands out is
/// valid until the transaction ends or writes, and inside the gate.
@unsafe
struct LMDBTransaction {
    let pointer: OpaquePointer
    let path: String

    func tree(_ name: String?, create: Bool = false) throws(StorageError) -> LMDBTree? {
        var handle: MDB_dbi = 0
        let flags = create ? UInt32(MDB_CREATE) : 0
        let code = unsafe mdb_dbi_open(pointer, name, flags, &handle)
        if code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE { return nil }
        if code != 0 { throw unsafe LMDBCode.error(code, path, "opening the tree \(name ?? "main")") }
        return LMDBTree(handle: handle)
    }

    /// How many entries a tree has, and the pages it takes.
    func statistics(_ tree: LMDBTree) throws(StorageError) -> (entries: Int, pages: Int) {
        var stat = MDB_stat()
        let code = unsafe mdb_stat(pointer, tree.handle, &stat)
        if code != 0 { throw unsafe LMDBCode.error(code, path, "reading statistics") }
        return (stat.ms_entries, stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages)
    }

    /// LMDB's own number of the transaction, or of the one a snapshot shows.
    var number: Int { unsafe mdb_txn_id(pointer) }

    func get(_ tree: LMDBTree, _ key: [UInt8]) throws(StorageError) -> UnsafeRawBufferPointer? {
        var value = unsafe MDB_val()
        let code = unsafe withValue(key) { unsafe mdb_get(pointer, tree.handle, &$0, &value) }
        if code == MDB_NOTFOUND { return nil }
        if code != 0 { throw unsafe LMDBCode.error(code, path, "reading") }
        return unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    func put(_ tree: LMDBTree, _ key: [UInt8], _ bytes: [UInt8]) throws(WriteFailure) {
        let code = unsafe withValue(key) { keyValue in
            unsafe withValue(bytes) { unsafe mdb_put(pointer, tree.handle, &keyValue, &$0, 0) }
        }
        if code != 0 { throw unsafe WriteFailure(code, path, "writing a record") }
    }

    /// Space for a value of `size` bytes, to be filled before the next write.
    func reserve(_ tree: LMDBTree, _ key: [UInt8], _ size: Int) throws(WriteFailure)
        -> UnsafeMutableRawBufferPointer
    {
        var value = unsafe MDB_val(mv_size: size, mv_data: nil)
        let code = unsafe withValue(key) {
            unsafe mdb_put(pointer, tree.handle, &$0, &value, UInt32(MDB_RESERVE))
        }
        if code != 0 { throw unsafe WriteFailure(code, path, "writing a block") }
        return unsafe UnsafeMutableRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    /// Removes a key; false if it was not there.
    @discardableResult
    func delete(_ tree: LMDBTree, _ key: [UInt8]) throws(WriteFailure) -> Bool {
        let code = unsafe withValue(key) { unsafe mdb_del(pointer, tree.handle, &$0, nil) }
        if code == MDB_NOTFOUND { return false }
        if code != 0 { throw unsafe WriteFailure(code, path, "removing a record") }
        return true
    }

    func cursor(_ tree: LMDBTree) throws(StorageError) -> LMDBCursor {
        var cursor: OpaquePointer?
        let code = unsafe mdb_cursor_open(pointer, tree.handle, &cursor)
        guard code == 0, let cursor = unsafe cursor else {
            throw unsafe LMDBCode.error(code, path, "opening a cursor")
        }
        return unsafe LMDBCursor(pointer: cursor, path: path)
    }
}

/// A place in a tree. Closes on deinit, which must come before the end of a
/// transaction that writes.
@safe
struct LMDBCursor: ~Copyable {
    private let pointer: OpaquePointer
    private let path: String

    init(pointer: OpaquePointer, path: String) {
        unsafe self.pointer = pointer
        self.path = path
    }

    deinit { unsafe mdb_cursor_close(pointer) }

    /// The first entry at or after `key`.
    func seek(_ key: [UInt8]) throws(StorageError) -> LMDBEntry? { unsafe try move(MDB_SET_RANGE, key) }
    func first() throws(StorageError) -> LMDBEntry? { unsafe try move(MDB_FIRST) }
    func last() throws(StorageError) -> LMDBEntry? { unsafe try move(MDB_LAST) }
    func next() throws(StorageError) -> LMDBEntry? { unsafe try move(MDB_NEXT) }
    func previous() throws(StorageError) -> LMDBEntry? { unsafe try move(MDB_PREV) }

    private func move(_ operation: MDB_cursor_op, _ key: [UInt8] = []) throws(StorageError) -> LMDBEntry? {
        var value = unsafe MDB_val()
        var found = unsafe MDB_val()
        let code = unsafe withValue(key) { keyValue -> Int32 in
            let code = unsafe mdb_cursor_get(pointer, &keyValue, &value, operation)
            unsafe found = keyValue
            return code
        }
        if code == MDB_NOTFOUND { return nil }
        if code != 0 { throw LMDBCode.error(code, path, "reading") }
        return unsafe LMDBEntry(
            key: Array(UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)),
            value: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }

    /// The same without copying the key, which is valid as long as the value.
    func seek(_ key: UnsafeRawBufferPointer) throws(StorageError) -> LMDBPlace? {
        unsafe try move(MDB_SET_RANGE, key)
    }
    func nextPlace() throws(StorageError) -> LMDBPlace? {
        unsafe try move(MDB_NEXT, UnsafeRawBufferPointer(start: nil, count: 0))
    }
    func lastPlace() throws(StorageError) -> LMDBPlace? {
        unsafe try move(MDB_LAST, UnsafeRawBufferPointer(start: nil, count: 0))
    }
    func previousPlace() throws(StorageError) -> LMDBPlace? {
        unsafe try move(MDB_PREV, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private func move(_ operation: MDB_cursor_op, _ key: UnsafeRawBufferPointer) throws(StorageError)
        -> LMDBPlace?
    {
        var value = unsafe MDB_val()
        var found = unsafe MDB_val(
            mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        let code = unsafe mdb_cursor_get(pointer, &found, &value, operation)
        if code == MDB_NOTFOUND { return nil }
        if code != 0 { throw LMDBCode.error(code, path, "reading") }
        return unsafe LMDBPlace(
            key: UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size),
            value: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }

    /// Space for a value, to be filled before the next write.
    ///
    /// - Parameter isLast: whether the key comes after all keys of the tree.
    func reserve(_ key: UnsafeRawBufferPointer, _ size: Int, isLast: Bool) throws(WriteFailure)
        -> UnsafeMutableRawBufferPointer
    {
        var value = unsafe MDB_val(mv_size: size, mv_data: nil)
        var keyValue = unsafe MDB_val(
            mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        let flags = UInt32(MDB_RESERVE) | (isLast ? UInt32(MDB_APPEND) : 0)
        let code = unsafe mdb_cursor_put(pointer, &keyValue, &value, flags)
        if code != 0 { throw WriteFailure(code, path, "writing a record") }
        return unsafe UnsafeMutableRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    /// Removes the entry the cursor is at.
    func delete() throws(WriteFailure) {
        let code = unsafe mdb_cursor_del(pointer, 0)
        if code != 0 { throw WriteFailure(code, path, "removing a record") }
    }
}

/// A key and a value in LMDB's memory.
@unsafe
struct LMDBPlace {
    let key: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer
}

/// A key, copied, and a value in LMDB's memory.
@unsafe
struct LMDBEntry {
    let key: [UInt8]
    let value: UnsafeRawBufferPointer
}

/// A failed write: the map is full and can grow, or something final.
enum WriteFailure: Error {
    case mapFull
    case failed(StorageError)

    init(_ code: Int32, _ path: String, _ doing: String) {
        self = code == MDB_MAP_FULL ? .mapFull : .failed(LMDBCode.error(code, path, doing))
    }
}

/// Runs `body` with LMDB's view of `bytes`, which only lasts that long.
func withValue<R>(_ bytes: [UInt8], _ body: (inout MDB_val) -> R) -> R {
    unsafe bytes.withUnsafeBytes { buffer in
        var value = unsafe MDB_val(
            mv_size: buffer.count, mv_data: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
        return unsafe body(&value)
    }
}

/// What becomes of an LMDB commit in a power cut.
enum CommitSurvival {
    /// It is on the disk when it returns.
    case flushed
    /// An entry of the journal makes it durable. The journal was asked in this transaction, and took it.
    case journaled
    /// While there is a journal it may be lost.
    case uncertain
}

/// A transaction that writes. Aborted unless committed. Bound to its thread.
@safe
final class LMDBWrite {
    private var pointer: OpaquePointer?
    private let environment: LMDBEnvironment

    init(_ environment: LMDBEnvironment) throws(StorageError) {
        self.environment = environment
        unsafe pointer = try environment.beginWrite()
    }

    deinit { abort() }

    /// The operations; only before the end.
    var transaction: LMDBTransaction {
        guard let pointer = unsafe pointer else { preconditionFailure("the transaction has ended") }
        return unsafe LMDBTransaction(pointer: pointer, path: environment.path)
    }

    func commit(_ survival: CommitSurvival = .flushed) throws(WriteFailure) {
        guard let pointer = unsafe pointer.take() else { return }
        let hasJournal = survival == .journaled || environment.journal.isActive(environment)
        environment.setFlushing(!hasJournal)
        let code = unsafe mdb_txn_commit(pointer)
        environment.gate.leave()
        // LMDB answers a write that was cut short with EIO, whatever the reason.
        if code == EIO, environment.isDiskFull { throw WriteFailure(ENOSPC, environment.path, "committing") }
        if code != 0 { throw WriteFailure(code, environment.path, "committing") }
        if hasJournal, survival == .flushed {
            do throws(StorageError) {
                try environment.journal.checkpoint(environment)
            } catch {
                throw .failed(error)
            }
        }
    }

    func abort() {
        guard let pointer = unsafe pointer.take() else { return }
        unsafe mdb_txn_abort(pointer)
        environment.gate.leave()
    }
}

extension LMDBEnvironment {
    /// Runs `body` in a transaction that writes and commits it. When the map is
    /// full it grows and `body` runs again from the start.
    func write<R>(_ survival: CommitSurvival = .flushed, _ body: (LMDBTransaction) throws(WriteFailure) -> R)
        throws(StorageError) -> R
    {
        while true {
            do throws(WriteFailure) {
                let write: LMDBWrite
                do throws(StorageError) { write = try LMDBWrite(self) } catch { throw .failed(error) }
                let result: R
                do throws(WriteFailure) {
                    result = try unsafe body(write.transaction)
                } catch {
                    write.abort()
                    throw error
                }
                try write.commit(survival)
                return result
            } catch {
                guard case .failed(let final) = error else {
                    try grow()
                    continue
                }
                throw final
            }
        }
    }
}

extension LMDBTransaction {
    /// Ends a read transaction.
    func abort() { unsafe mdb_txn_abort(pointer) }

    /// Ends a read transaction so that the trees it opened stay open.
    func keepTrees() throws(StorageError) {
        let code = unsafe mdb_txn_commit(pointer)
        if code != 0 { throw unsafe LMDBCode.error(code, path, "opening the trees") }
    }
}
