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
    /// What becomes of its own state, whose stored key comes behind those of its entries; nothing: it is removed.
    private var state: [UInt8] = []
    private var hasState = false

    init(_ cursor: consuming LMDBCursor, _ tid: TID, keepsHistory: Bool) throws(StorageError) {
        lastKey = unsafe try cursor.last()?.key ?? []
        self.cursor = cursor
        self.tid = tid
        self.keepsHistory = keepsHistory
    }

    /// Puts a record in the place of its older version; returns the recipe of that, if it was a block.
    mutating func write(_ write: RecordWrites.Place) throws -> BlockRecipe? {
        if unsafe write.oid != oid {
            try finish()
            unsafe oid = write.oid
        }
        if unsafe write.subkey.isEmpty {
            hasState = true
            state.removeAll(keepingCapacity: true)
            if let value = unsafe write.value { unsafe state.append(contentsOf: value) }
            return nil
        }
        let (existed, replaced) = try unsafe replace(write.subkey, write.value)
        if unsafe RecordKey.isEntry(write.subkey) {
            unsafe growth += (write.value == nil ? 0 : 1) - (existed ? 1 : 0)
        }
        return replaced
    }

    /// Completes the last object.
    mutating func finish() throws {
        try count()
        guard hasState else { return }
        hasState = false
        _ = try unsafe state.withUnsafeBytes { state in
            let key = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            return try unsafe replace(key, state.isEmpty ? nil : state)
        }
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
        let value = EntryCount.value(old + growth).encoded()
        _ = try unsafe key.subkey.withUnsafeBytes { key in
            try unsafe value.withUnsafeBytes { try unsafe replace(key, $0, mayAppend: false) }
        }
        growth = 0
    }

    /// Puts a value in the place of the newest version, which is the only one unless history is kept. Nil: a removal,
    /// which is a record of its own if history is kept.
    private func replace(
        _ subkey: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?, mayAppend: Bool = true
    ) throws -> (existed: Bool, replaced: BlockRecipe?) {
        try unsafe RecordKey.withEncoded(oid, subkey, .largest) { key in
            let isLast = unsafe isBehindAll(UnsafeRawBufferPointer(key))
            // Nothing is there behind the last key.
            let found = unsafe isLast ? (false, nil) : try removeNewest(UnsafeRawBufferPointer(key), subkey)
            unsafe RecordKey.setVersion(tid, of: key)
            if let value = unsafe value {
                try unsafe put(UnsafeRawBufferPointer(key), value, isLast: mayAppend && isLast)
            } else if keepsHistory, found.0 {
                try unsafe RecordValue.removed.encoded().withUnsafeBytes {
                    try unsafe put(UnsafeRawBufferPointer(key), $0, isLast: false)
                }
            }
            return found
        }
    }

    private func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isLast: Bool)
        throws(WriteFailure)
    {
        unsafe try cursor.reserve(key, value.count, isLast: isLast).copyMemory(from: value)
    }

    /// - Parameter key: with the largest version.
    private func removeNewest(_ key: UnsafeRawBufferPointer, _ subkey: UnsafeRawBufferPointer) throws
        -> (existed: Bool, replaced: BlockRecipe?)
    {
        guard let place = unsafe try cursor.seek(key),
            unsafe RecordKey.version(of: place.key, like: key) != nil
        else { return (false, nil) }
        if unsafe RecordValue.isRemoval(place.value) { return (false, nil) }
        if keepsHistory { return (true, nil) }
        let isBlock = unsafe RecordKey.block(subkey) != nil
        let block = unsafe isBlock ? try? RecordValue(decoding: Array(place.value)) : nil
        try cursor.delete()
        return (true, block?.recipe)
    }

    private func isBehindAll(_ key: UnsafeRawBufferPointer) -> Bool {
        unsafe lastKey.withUnsafeBytes { unsafe key.compare($0) > 0 }
    }
}
