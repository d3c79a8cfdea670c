internal import CLMDB
internal import Synchronization

// One packing at a time, in all processes; its end, or its death, lets go of it.

extension LMDBStorage {
    private static let packByte: Int64 = 1 << 62 + 1 << 16 + 1

    /// - Throws: ``HistoryError/packing(path:)``.
    func beginPacking() throws(HistoryError) {
        let isFirst = isPacking.withLock { isPacking in
            defer { isPacking = true }
            return !isPacking
        }
        guard isFirst else { throw .packing(path: path) }
        guard clmdb_lock_byte(environment.descriptor, Self.packByte, 0) == 0 else {
            isPacking.withLock { $0 = false }
            throw .packing(path: path)
        }
    }

    func endPacking() {
        _ = clmdb_unlock_byte(environment.descriptor, Self.packByte)
        isPacking.withLock { $0 = false }
    }
}
