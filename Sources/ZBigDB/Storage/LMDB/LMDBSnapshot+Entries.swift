// The entries of maps, copied out a batch at a time: what is done with them happens
// outside of S.

extension LMDBSnapshot {
    func entryCount(of oid: OID) throws(StorageError) -> Int {
        guard let record = try record(RecordKey(oid, RecordKey.countSubkey)) else { return 0 }
        guard let count = EntryCount.decode(record.value) else {
            throw .corrupt(path: storage.path, what: "\(oid): the number of its entries cannot be read")
        }
        return count
    }

    func entry(_ oid: OID, _ subkey: [UInt8], into state: inout [UInt8]) throws(StorageError) -> Bool {
        unsafe try withRecords { cursor, _ throws(StorageError) in
            try unsafe subkey.withRawBytes { subkey throws(StorageError) in
                try unsafe RecordKey.withEncoded(oid, subkey, tid) { key throws(StorageError) in
                    let key = UnsafeRawBufferPointer(key)
                    guard let place = unsafe try cursor.seek(key),
                        unsafe RecordKey.version(of: place.key, like: key) != nil,
                        let found = unsafe try self.state(place, of: oid)
                    else { return false }
                    unsafe state.replaceAll(with: found)
                    return true
                }
            }
        }
    }

    func entries(of oid: OID, in range: SubkeyRange, reversed: Bool, limit: Int) throws(StorageError)
        -> EntryBatch
    {
        unsafe try withRecords { cursor, _ throws(StorageError) in
            try reversed ? backward(cursor, oid, range, limit) : forward(cursor, oid, range, limit)
        }
    }

    /// More bytes than this are for the next batch.
    private static let mostBytes = 1 << 20

    /// The newest version the snapshot sees comes first, older ones are passed over.
    private func forward(
        _ cursor: borrowing LMDBCursor, _ oid: OID, _ range: SubkeyRange, _ limit: Int
    ) throws(StorageError) -> EntryBatch {
        let prefix = oid.rawValue.bigEndianBytes
        var batch = EntryBatch.Builder(limit: limit)
        let start = prefix + range.from
        let end = KeyBound(prefix + range.to)
        var place = unsafe try start.withRawBytes { bytes throws(StorageError) in
            unsafe try cursor.seek(bytes)
        }
        // The last subkey of which a version was seen, in LMDB's memory.
        var last = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        var passed = 0
        while let at = unsafe place, unsafe at.key.count > 16, unsafe end.isBehind(at.key) {
            let (key, version) = unsafe split(at.key)
            if version <= tid, unsafe !isSame(last, key) {
                if batch.count == limit || batch.used > Self.mostBytes {
                    batch.isLast = false
                    break
                }
                unsafe last = key
                if let state = unsafe try state(at, of: oid) { unsafe batch.append(key, state) }
                passed = 0
            } else {
                passed += 1
            }
            unsafe place =
                passed > Self.mostPassed
                ? try skip(key, prefix, isDone: isSame(last, key), cursor) : try cursor.nextPlace()
        }
        return batch.finish()
    }

    /// So many versions are passed over one by one.
    private static let mostPassed = 8

    /// Where an entry of many versions goes on: at the first that the snapshot sees, or behind all of them.
    private func skip(
        _ key: UnsafeRawBufferPointer, _ prefix: [UInt8], isDone: Bool, _ cursor: borrowing LMDBCursor
    ) throws(StorageError) -> LMDBPlace? {
        let next =
            unsafe isDone
            ? prefix + SubkeyRange.successor(of: Array(key))
            : prefix + Array(key) + (~tid.rawValue).bigEndianBytes
        return unsafe try next.withRawBytes { bytes throws(StorageError) in unsafe try cursor.seek(bytes) }
    }

    /// Older versions come first: a newer one takes their place.
    private func backward(
        _ cursor: borrowing LMDBCursor, _ oid: OID, _ range: SubkeyRange, _ limit: Int
    ) throws(StorageError) -> EntryBatch {
        let prefix = oid.rawValue.bigEndianBytes
        var batch = EntryBatch.Builder(limit: limit)
        let start = KeyBound(prefix + range.from)
        let end = prefix + range.to
        let beyond = unsafe try end.withRawBytes { bytes throws(StorageError) in unsafe try cursor.seek(bytes)
        }
        var place = unsafe try beyond == nil ? cursor.lastPlace() : cursor.previousPlace()
        // The subkey of the batch's last entry, in LMDB's memory.
        var last = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        while let at = unsafe place, unsafe at.key.count > 16, unsafe !start.isBehind(at.key) {
            let (key, version) = unsafe split(at.key)
            if version <= tid {
                if unsafe isSame(last, key) {
                    batch.removeLast()
                } else if batch.count == limit || batch.used > Self.mostBytes {
                    batch.isLast = false
                    break
                }
                unsafe last = UnsafeRawBufferPointer(start: nil, count: 0)
                if let state = unsafe try state(at, of: oid) {
                    unsafe batch.append(key, state)
                    unsafe last = key
                }
            }
            unsafe place = try cursor.previousPlace()
        }
        return batch.finish()
    }

    /// The subkey and version of a stored key.
    @inline(__always)
    private func split(_ key: UnsafeRawBufferPointer) -> (UnsafeRawBufferPointer, TID) {
        let count = key.count - 8
        let bits = unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: count, as: UInt64.self))
        return unsafe (UnsafeRawBufferPointer(rebasing: key[8..<count]), TID(rawValue: ~bits))
    }

    /// Whether two subkeys are equal. Neighbours mostly differ in their last byte.
    @inline(__always)
    private func isSame(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        unsafe a.count == b.count && a[a.count - 1] == b[a.count - 1] && a.isEqual(to: b)
    }

    /// What an entry holds; nil if it was removed.
    @inline(__always)
    private func state(_ place: LMDBPlace, of oid: OID) throws(StorageError) -> UnsafeRawBufferPointer? {
        if let state = unsafe RecordValue.stateBytes(in: place.value) { return unsafe state }
        if unsafe RecordValue.isRemoval(place.value) { return nil }
        throw .corrupt(path: storage.path, what: "an entry of \(oid) cannot be read")
    }
}

/// A key to compare many stored ones with, all of which have more than 16 bytes. Mostly the first 16 tell.
private struct KeyBound {
    private let bytes: [UInt8]
    private let head: UInt128

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        head = (0..<16).reduce(0) { $0 << 8 | ($1 < bytes.count ? UInt128(bytes[$1]) : 0) }
    }

    /// Whether it comes behind `key` in the order of bytes.
    @inline(__always)
    func isBehind(_ key: UnsafeRawBufferPointer) -> Bool {
        let other = unsafe UInt128(bigEndian: key.loadUnaligned(as: UInt128.self))
        // The zeros behind a short bound are less than whatever the key has there, or equal to it.
        if other != head { return head > other }
        return unsafe bytes.withUnsafeBytes { unsafe $0.compare(key) > 0 }
    }
}
