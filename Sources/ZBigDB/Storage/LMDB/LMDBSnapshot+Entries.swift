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

    func entries(of oid: OID, in range: SubkeyRange, reversed: Bool, limit: Int) throws(StorageError)
        -> EntryBatch
    {
        let prefix = oid.rawValue.bigEndianBytes
        return unsafe try withRecords { cursor, _ throws(StorageError) in
            try reversed
                ? backward(cursor, prefix, range, limit) : forward(cursor, prefix, range, limit)
        }
    }

    /// The newest version the snapshot sees comes first, older ones are passed over.
    private func forward(
        _ cursor: borrowing LMDBCursor, _ prefix: [UInt8], _ range: SubkeyRange, _ limit: Int
    )
        throws(StorageError) -> EntryBatch
    {
        var batch = EntryBatch()
        let start = prefix + range.from
        let end = prefix + range.to
        var place = unsafe try start.withRawBytes { bytes throws(StorageError) in
            unsafe try cursor.seek(bytes)
        }
        var removed: [UInt8] = []
        while let at = unsafe place, unsafe at.key.count > 16, unsafe end.isBehind(at.key) {
            if let (key, version) = unsafe split(at.key), version <= tid, unsafe !batch.endsWith(key),
                unsafe !removed.isSame(as: key)
            {
                if batch.count == limit { break }
                if unsafe RecordValue.isRemoval(at.value) {
                    unsafe removed = Array(key)
                } else {
                    unsafe batch.append(key, try state(at, prefix), version)
                }
            }
            unsafe place = try cursor.nextPlace()
        }
        return batch
    }

    /// Older versions come first: a newer one takes their place.
    private func backward(
        _ cursor: borrowing LMDBCursor, _ prefix: [UInt8], _ range: SubkeyRange, _ limit: Int
    ) throws(StorageError) -> EntryBatch {
        var batch = EntryBatch()
        let start = prefix + range.from
        let end = prefix + range.to
        let beyond = unsafe try end.withRawBytes { bytes throws(StorageError) in unsafe try cursor.seek(bytes)
        }
        var place = unsafe try beyond == nil ? cursor.lastPlace() : cursor.previousPlace()
        while let at = unsafe place, unsafe at.key.count > 16, unsafe !start.isBehind(at.key) {
            if let (key, version) = unsafe split(at.key), version <= tid {
                if unsafe batch.endsWith(key) {
                    batch.removeLast()
                } else if batch.count == limit {
                    break
                }
                if unsafe !RecordValue.isRemoval(at.value) {
                    unsafe batch.append(key, try state(at, prefix), version)
                }
            }
            unsafe place = try cursor.previousPlace()
        }
        return batch
    }

    /// The subkey and version of a stored key.
    private func split(_ key: UnsafeRawBufferPointer) -> (UnsafeRawBufferPointer, TID)? {
        let count = key.count - 8
        let bits = unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: count, as: UInt64.self))
        return unsafe (UnsafeRawBufferPointer(rebasing: key[8..<count]), TID(rawValue: ~bits))
    }

    /// What an entry holds.
    private func state(_ place: LMDBPlace, _ prefix: [UInt8]) throws(StorageError) -> UnsafeRawBufferPointer {
        guard let state = unsafe RecordValue.stateBytes(in: place.value) else {
            let oid = OID(rawValue: UInt64(bigEndianBytes: prefix[...]))
            throw .corrupt(path: storage.path, what: "an entry of \(oid) cannot be read")
        }
        return unsafe state
    }
}

extension [UInt8] {
    fileprivate func withRawBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R
    {
        try unsafe withUnsafeBufferPointer { bytes throws(E) in try unsafe body(UnsafeRawBufferPointer(bytes))
        }
    }

    fileprivate func isSame(as key: UnsafeRawBufferPointer) -> Bool {
        unsafe withUnsafeBytes { unsafe $0.isEqual(to: key) }
    }

    fileprivate func isBehind(_ key: UnsafeRawBufferPointer) -> Bool {
        unsafe withUnsafeBytes { unsafe $0.compare(key) > 0 }
    }
}
