import CKernels
import CLMDBBaseline
import Foundation

/// LMDB used by hand: values of 2 MiB under their block number, or small records.
final class RawLMDB {
    static let blockBytes = 2 << 20
    private let env: OpaquePointer
    private var dbi: MDB_dbi = 0

    init(_ path: String, create: Bool = false) throws {
        var env: OpaquePointer?
        try Self.check(mdb_env_create(&env))
        guard let env else { throw BenchError("no environment") }
        self.env = env
        try Self.check(mdb_env_set_mapsize(env, 1 << 40))
        try Self.check(mdb_env_open(env, path, UInt32(MDB_NOSUBDIR | MDB_NOTLS), 0o644))
        try transaction(write: create) { txn in try Self.check(mdb_dbi_open(txn, nil, 0, &dbi)) }
    }

    deinit { mdb_env_close(env) }

    private static func check(_ code: Int32) throws {
        if code != 0 { throw BenchError("LMDB: \(String(cString: mdb_strerror(code)))") }
    }

    func begin(write: Bool) throws -> OpaquePointer {
        var txn: OpaquePointer?
        try Self.check(mdb_txn_begin(env, nil, write ? 0 : UInt32(MDB_RDONLY), &txn))
        guard let txn else { throw BenchError("no transaction") }
        return txn
    }

    /// Moves a read transaction to the newest state.
    func renew(_ reader: OpaquePointer) throws {
        mdb_txn_reset(reader)
        try Self.check(mdb_txn_renew(reader))
    }

    func abort(_ txn: OpaquePointer) { mdb_txn_abort(txn) }

    func transaction<R>(write: Bool, _ body: (OpaquePointer) throws -> R) throws -> R {
        let txn = try begin(write: write)
        let result: R
        do {
            result = try body(txn)
        } catch {
            mdb_txn_abort(txn)
            throw error
        }
        try Self.check(mdb_txn_commit(txn))
        return result
    }

    /// Space for a value, to be filled within the transaction.
    func reserve(_ txn: OpaquePointer, _ number: Int, _ size: Int) throws -> UnsafeMutableRawPointer {
        var key = UInt64(number).bigEndian
        return try withUnsafeMutableBytes(of: &key) { bytes in
            var mdbKey = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            var value = MDB_val(mv_size: size, mv_data: nil)
            try Self.check(mdb_put(txn, dbi, &mdbKey, &value, UInt32(MDB_RESERVE)))
            guard let target = value.mv_data else { throw BenchError("nothing reserved") }
            return target
        }
    }

    /// A value, or nil; valid until the transaction ends, also if the value is stored anew.
    func find(_ txn: OpaquePointer, _ number: Int) throws -> UnsafeRawBufferPointer? {
        var key = UInt64(number).bigEndian
        return try withUnsafeMutableBytes(of: &key) { bytes in
            var mdbKey = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            var value = MDB_val()
            let code = mdb_get(txn, dbi, &mdbKey, &value)
            if code == MDB_NOTFOUND { return nil }
            try Self.check(code)
            return UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
        }
    }

    func get(_ txn: OpaquePointer, _ number: Int) throws -> UnsafeRawBufferPointer {
        guard let value = try find(txn, number) else { throw BenchError("there is no value \(number)") }
        return value
    }

    /// Stores a block anew, with `change` made to its bytes; a new one is zeros before.
    func rewrite(_ txn: OpaquePointer, _ block: Int, _ change: (UnsafeMutableRawPointer) -> Void) throws {
        let old = try find(txn, block)
        let target = try reserve(txn, block, Self.blockBytes)
        if let old, let source = old.baseAddress {
            target.copyMemory(from: source, byteCount: old.count)
        } else {
            target.initializeMemory(as: UInt8.self, repeating: 0, count: Self.blockBytes)
        }
        change(target)
    }

    /// Calls `body` with every key and value, in the order of keys.
    func forEach(_ txn: OpaquePointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void)
        throws
    {
        var cursor: OpaquePointer?
        try Self.check(mdb_cursor_open(txn, dbi, &cursor))
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        while mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 {
            body(
                UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
                UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
        }
    }

    /// How many values there are.
    func count(_ txn: OpaquePointer) throws -> Int {
        var status = MDB_stat()
        try Self.check(mdb_stat(txn, dbi, &status))
        return status.ms_entries
    }

    static func create(_ path: String, count: Int, commitEvery: Int) throws {
        let lmdb = try RawLMDB(path, create: true)
        let perBlock = blockBytes / 8
        var block = 0
        while block * perBlock < count {
            let end = min(block + commitEvery / blockBytes, (count + perBlock - 1) / perBlock)
            try lmdb.transaction(write: true) { txn in
                while block < end {
                    let target = try lmdb.reserve(txn, block, blockBytes)
                    kernels_fill(target.assumingMemoryBound(to: Double.self), block * perBlock, perBlock)
                    block += 1
                }
            }
        }
    }
}
