internal import CLMDB
internal import Synchronization

#if canImport(Dispatch)
    internal import Dispatch
#endif

/// C: one commit at a time, across threads and processes.
///
/// Within the process a semaphore, which unlike a mutex may be given back by
/// another thread; between processes a byte of the data file, locked through
/// the open file description and therefore free again when its holder dies.
final class CommitLock: Sendable {
    private static let byte: Int64 = 1 << 62
    private let local = DispatchSemaphore(value: 1)
    private let descriptor: Int32
    private let path: String
    /// The transaction it is held for.
    private let holder = Mutex<TransactionID?>(nil)

    init(_ descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Waits for the lock and takes it.
    ///
    /// - Throws: ``StorageError/protocolViolation(_:)`` instead of waiting for itself, if
    ///   `transaction` holds it already.
    func acquire(for transaction: TransactionID? = nil) throws(StorageError) {
        if let transaction, holder.withLock({ $0 == transaction }) {
            throw .protocolViolation(
                "two connections of \(path) have changes in one transaction; "
                    + "change one database through one connection")
        }
        local.wait()
        let code = clmdb_lock_byte(descriptor, Self.byte, 1)
        if code != 0 {
            local.signal()
            throw .system(path: path, doing: "taking the commit lock", errno: code)
        }
        holder.withLock { $0 = transaction }
    }

    func release() {
        holder.withLock { $0 = nil }
        _ = clmdb_unlock_byte(descriptor, Self.byte)
        local.signal()
    }
}

/// Which process wrote a pending block: each process that has the database open
/// for writing holds the byte of a slot of its own. A slot whose byte is free
/// belonged to a process that is gone, and so did its pending blocks.
struct OwnerSlot: Sendable {
    private static let firstByte: Int64 = 1 << 62 + 1
    private static let count = 4096

    let number: UInt32

    init(_ descriptor: Int32, path: String) throws(StorageError) {
        for slot in 0..<Self.count where clmdb_lock_byte(descriptor, Self.firstByte + Int64(slot), 0) == 0 {
            number = UInt32(slot)
            return
        }
        throw .tooManyReaders(path: path)
    }

    /// Whether a slot's process is alive; our own slot does not count as such.
    static func isAlive(_ slot: UInt32, _ descriptor: Int32) -> Bool {
        clmdb_is_byte_locked(descriptor, firstByte + Int64(slot)) != 0
    }

    /// Whether other processes have the file open for writing.
    static func areOthersAlive(_ descriptor: Int32) -> Bool {
        clmdb_are_bytes_locked(descriptor, firstByte, Int64(count)) != 0
    }

    /// The key in `pending` of a block this process wrote.
    func key(_ block: BlockID) -> [UInt8] { Self.key(number, block) }

    private static func key(_ slot: UInt32, _ block: BlockID) -> [UInt8] {
        Array(UInt64(slot).bigEndianBytes.suffix(4)) + block.rawValue.bigEndianBytes
    }

    static func decode(_ key: [UInt8]) -> (slot: UInt32, block: BlockID)? {
        guard key.count == 12 else { return nil }
        let slot = UInt32(truncatingIfNeeded: UInt64(bigEndianBytes: key[0..<4]))
        return (slot, BlockID(rawValue: UInt64(bigEndianBytes: key[4...])))
    }
}
