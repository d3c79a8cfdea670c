internal import CLMDB

// Everything a snapshot has, in pieces.

extension LMDBSnapshot {
    /// Records of every kind and version, `limit` from a stored key on, and where to go on.
    func records(from start: [UInt8], limit: Int) throws(StorageError) -> (
        records: [StoredRecord], next: [UInt8]?
    ) {
        unsafe try withRecords { cursor, _ throws(StorageError) in
            var found: [StoredRecord] = []
            var entry = unsafe start.isEmpty ? try cursor.first() : try cursor.seek(start)
            while let at = unsafe entry {
                if found.count == limit { return unsafe (found, at.key) }
                guard let (key, tid) = unsafe RecordKey.decode(at.key) else {
                    throw .corrupt(
                        path: storage.path, what: "a record has a key of \(unsafe at.key.count) bytes")
                }
                found.append(StoredRecord(key: key, tid: tid, value: try unsafe value(of: at)))
                unsafe entry = try cursor.next()
            }
            return (found, nil)
        }
    }

    /// Entries of a tree, `limit` from a key on, and where to go on.
    func entries(of tree: LMDBTree, from start: [UInt8], limit: Int) throws(StorageError) -> (
        entries: [(key: [UInt8], value: [UInt8])], next: [UInt8]?
    ) {
        unsafe try withRecords { _, transaction throws(StorageError) in
            let cursor = try unsafe transaction.cursor(tree)
            var found: [(key: [UInt8], value: [UInt8])] = []
            var entry = unsafe start.isEmpty ? try cursor.first() : try cursor.seek(start)
            while let at = unsafe entry {
                if found.count == limit { return unsafe (found, at.key) }
                unsafe found.append((at.key, Array(at.value)))
                unsafe entry = try cursor.next()
            }
            return (found, nil)
        }
    }

    func counter(_ key: [UInt8]) throws(StorageError) -> UInt64 {
        unsafe try withRecords { _, transaction throws(StorageError) in
            try unsafe transaction.counter(storage.format.meta, key)
        }
    }

    func shares(_ id: BlockID) throws(StorageError) -> Shares? {
        unsafe try withRecords { _, transaction throws(StorageError) in
            try unsafe storage.shares(id, transaction)
        }
    }

    /// Bytes in a block of the array that a recipe's records belong to.
    func blockSize(of recipe: BlockRecipe?) throws -> Int? {
        guard let id = recipe?.parts.first?.block else { return nil }
        return try unsafe withRecord(id) { record in
            let header = try unsafe ZBlkHeader(decoding: record)
            return header.pagesPerBlock * header.pageSize
        }
    }

    /// What the array wants that a recipe's records belong to. Blocks in extents have no compression.
    func compression(of recipe: BlockRecipe) throws -> BlockCompression? {
        guard let part = recipe.parts.first, part.kind != .extent else { return nil }
        return try unsafe withRecord(part.block) { unsafe try ZBlkHeader(decoding: $0).compression }
    }

    /// Runs `body` with a block record.
    func withRecord<R>(_ id: BlockID, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let gate = storage.environment.gate
        gate.enter()
        defer { gate.leave() }
        let found = unsafe try withRecords { _, transaction throws(StorageError) in
            unsafe try transaction.get(storage.format.blocks, id.rawValue.bigEndianBytes)
        }
        guard let record = unsafe found else {
            throw StorageError.corrupt(path: storage.path, what: "block record \(id.rawValue) is missing")
        }
        do {
            return try unsafe body(record)
        } catch let damage as ZBlkHeader.Damage {
            throw StorageError.corrupt(path: storage.path, what: "block record \(id.rawValue): \(damage)")
        }
    }
}
