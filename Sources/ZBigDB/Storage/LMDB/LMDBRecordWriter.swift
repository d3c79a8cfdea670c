/// Writes the records of one commit, ascending by key, and keeps count of each object's entries.
struct LMDBRecordWriter: ~Copyable {
    private let cursor: LMDBCursor
    private let tid: TID
    /// Whether older versions stay, and removals are records.
    private let keepsHistory: Bool
    /// The last key of the tree when the commit began: what comes behind it is appended.
    private var lastKey: [UInt8]
    // The object whose entries are being written, and how many more it has now.
    private var oid = OID.root
    private var growth = 0
    /// Its own state, whose stored key comes behind those of its entries.
    private var state: RecordWrite?

    init(_ cursor: consuming LMDBCursor, _ tid: TID, keepsHistory: Bool) throws(StorageError) {
        lastKey = unsafe try cursor.last()?.key ?? []
        self.cursor = cursor
        self.tid = tid
        self.keepsHistory = keepsHistory
    }

    /// Puts a record in the place of its older version; returns what that held, if it was a block.
    mutating func write(_ write: RecordWrite) throws -> RecordValue? {
        if write.key.oid != oid {
            try finish()
            oid = write.key.oid
        }
        if write.key.subkey.isEmpty {
            state = write
            return nil
        }
        let (existed, replaced) = try remove(write.key)
        if write.key.isEntry { growth += (write.value == nil ? 0 : 1) - (existed ? 1 : 0) }
        try put(write.key, write.value, existed)
        return replaced
    }

    /// Completes the last object.
    mutating func finish() throws {
        try count()
        guard let state = state.take() else { return }
        try put(state.key, state.value, try remove(state.key).existed)
    }

    /// Brings the number of the object's entries up to date.
    private mutating func count() throws {
        guard growth != 0 else { return }
        let key = RecordKey(oid, RecordKey.countSubkey)
        let old = try unsafe key.withEncoded(.largest) { bytes throws(StorageError) -> Int in
            guard let place = unsafe try cursor.seek(bytes),
                unsafe RecordKey.version(of: place.key, like: bytes) != nil
            else { return 0 }
            return unsafe EntryCount.decode(place.value) ?? 0
        }
        _ = try remove(key)
        try put(key, EntryCount.value(old + growth), mayAppend: false)
        growth = 0
    }

    /// Removes the newest version, which is the only one unless history is kept.
    private func remove(_ key: RecordKey) throws -> (existed: Bool, replaced: RecordValue?) {
        try unsafe key.withEncoded(.largest) { bytes in
            // Nothing is there behind the last key.
            if unsafe isBehindAll(bytes) { return (false, nil) }
            guard let place = unsafe try cursor.seek(bytes),
                unsafe RecordKey.version(of: place.key, like: bytes) != nil
            else { return (false, nil) }
            if unsafe RecordValue.isRemoval(place.value) { return (false, nil) }
            if keepsHistory { return (true, nil) }
            let block = unsafe key.block == nil ? nil : try? RecordValue(decoding: Array(place.value))
            try cursor.delete()
            return (true, block)
        }
    }

    /// Nil: a removal, which is a record of its own if history is kept.
    private func put(_ key: RecordKey, _ value: RecordValue?, _ existed: Bool) throws {
        if let value {
            try put(key, value)
        } else if keepsHistory, existed {
            try put(key, .removed)
        }
    }

    private func put(_ key: RecordKey, _ value: RecordValue, mayAppend: Bool = true) throws {
        try unsafe key.withEncoded(tid) { bytes in
            try unsafe value.withEncoded { size, write in
                unsafe write(try cursor.reserve(bytes, size, isLast: mayAppend && isBehindAll(bytes)))
            }
        }
    }

    private func isBehindAll(_ key: UnsafeRawBufferPointer) -> Bool {
        unsafe lastKey.withUnsafeBytes { unsafe key.compare($0) > 0 }
    }
}
