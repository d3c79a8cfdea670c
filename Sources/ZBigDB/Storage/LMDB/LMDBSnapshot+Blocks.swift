internal import CLMDB
internal import VirtMem

// Where the pages of blocks are in the file. Records are located under S;
// their bytes are touched without it, but inside the gate, so that the map stays.

extension LMDBSnapshot {
    func sources(_ oid: OID, _ blocks: Range<Int>, blockSize: Int) throws(StorageError) -> [BlockSource] {
        var result = [BlockSource](repeating: .hole, count: blocks.count)
        if blocks.isEmpty { return result }
        let domain = storage.frameDomain(of: oid)
        return unsafe try withRecords { cursor, transaction throws(StorageError) in
            var finder = unsafe RecordFinder(storage: storage, transaction: transaction)
            var entry = unsafe try cursor.seek(RecordKey(oid, block: blocks.lowerBound).encoded(tid))
            var last = -1
            while let at = unsafe entry, let (key, version) = unsafe RecordKey.decode(at.key), key.oid == oid,
                let block = key.block, block < blocks.upperBound
            {
                // Versions that are too new, and those behind the one that counts, may be many.
                if version > tid || block == last {
                    let next = RecordKey(oid, block: block == last ? block + 1 : block)
                    unsafe entry = try cursor.seek(next.encoded(tid))
                    continue
                }
                // The first version that the snapshot sees is the newest.
                last = block
                let value = try unsafe value(of: at)
                if value != .removed {
                    let recipe = try recipe(value, key)
                    let frame = FrameKey(
                        domain: domain, content: UInt64(block), revision: version.rawValue)
                    result[block - blocks.lowerBound] =
                        try source(recipe, &finder, blockSize, key.part, .loadShared(frame))
                }
                unsafe entry = try cursor.next()
            }
            return result
        }
    }

    func source(_ recipe: BlockRecipe, blockSize: Int) throws(StorageError) -> BlockSource {
        let newer = try newer(for: recipe)
        return unsafe try withRecords { _, transaction throws(StorageError) in
            var finder = unsafe RecordFinder(storage: storage, transaction: transaction, newer: newer)
            return try source(recipe, &finder, blockSize, "a block", .load)
        }
    }

    private func recipe(_ value: RecordValue, _ key: RecordKey) throws(StorageError) -> BlockRecipe {
        guard let recipe = value.recipe else {
            throw .corrupt(path: storage.path, what: "\(key.oid), \(key.part) is no block")
        }
        return recipe
    }

    /// The extents of a block's pages, or `copied` if it must be put together in memory.
    private func source(
        _ recipe: BlockRecipe, _ finder: inout RecordFinder, _ blockSize: Int, _ name: String,
        _ copied: BlockSource
    ) throws(StorageError) -> BlockSource {
        if recipe.parts.isEmpty { return .hole }
        guard storage.isZeroCopy, recipe.pieceCount <= RewritePolicy.mostPieces,
            recipe.parts.allSatisfy({ $0.codec == .none })
        else { return copied }
        var extents: [FileExtent] = []
        extents.reserveCapacity(recipe.pieceCount)
        for part in recipe.parts {
            let record = unsafe try finder.find(part.block, name)
            let size = Int(part.offset) + Int(part.storedPages) * systemPageSize
            guard size <= record.count else {
                throw .corrupt(path: storage.path, what: "\(name): impossible sizes")
            }
            if storage.verifiesOnLoad { try unsafe verify(part, record, name) }
            guard let start = unsafe storage.environment.fileOffset(of: record),
                (start + Int(part.offset)) % systemPageSize == 0
            else { return copied }
            for run in part.runs {
                guard run.pages.upperBound * systemPageSize <= blockSize else {
                    throw .corrupt(path: storage.path, what: "\(name): pages beyond its end")
                }
                extents.append(
                    FileExtent(
                        descriptor: storage.environment.descriptor,
                        fileOffset: start + Int(part.offset) + Int(run.slot) * systemPageSize,
                        length: Int(run.count) * systemPageSize,
                        blockOffset: Int(run.page) * systemPageSize))
            }
        }
        if recipe.parts.count > 1 { extents.sort { $0.blockOffset < $1.blockOffset } }
        return .extents(extents)
    }

    // MARK: Bytes

    func read(_ recipe: BlockRecipe, ofBlock number: Int, into buffer: UnsafeMutableRawBufferPointer)
        throws(StorageError)
    {
        try unsafe withRecords(of: recipe) { records throws(StorageError) in
            for (index, part) in recipe.parts.enumerated() {
                let record = unsafe records[index]
                unsafe willRead(part, record)
                let name = "block \(number)"
                let header = try unsafe verify(part, record, name)
                if part.codec != .none, part.isWhole, Int(part.storedPages) * systemPageSize <= buffer.count {
                    // Most compressed blocks: decompressed to where they belong.
                    let target = unsafe buffer[0..<(Int(part.storedPages) * systemPageSize)]
                    try damaged(name) { () throws(ZBlkHeader.Damage) in
                        unsafe try header.unpack(
                            record, into: UnsafeMutableRawBufferPointer(rebasing: target))
                    }
                    continue
                }
                let content = try unsafe content(of: part, record, name)
                for run in part.runs {
                    let start = Int(run.page) * systemPageSize
                    let end = start + Int(run.count) * systemPageSize
                    guard end <= buffer.count else {
                        throw .corrupt(path: storage.path, what: "block \(number) is longer than a block")
                    }
                    unsafe content.withPages(run) { source in
                        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start..<end])
                            .copyMemory(from: source)
                    }
                }
            }
        }
    }

    func withPieces(_ recipe: BlockRecipe, _ body: (Int, UnsafeRawBufferPointer) throws -> Void) throws
        -> Bool
    {
        guard !storage.verifiesOnLoad, recipe.parts.allSatisfy({ $0.codec == .none }) else { return false }
        let gate = storage.environment.gate
        gate.enter()
        defer { gate.leave() }
        var pieces = unsafe try withRecords(of: recipe) { records throws(StorageError) in
            var pieces: [Piece] = unsafe []
            for (index, part) in recipe.parts.enumerated() {
                for run in part.runs {
                    unsafe pieces.append(
                        Piece(
                            offset: Int(run.page) * systemPageSize,
                            bytes: try pages(part, run, records[index])))
                }
            }
            return unsafe pieces
        }
        unsafe pieces.sort { unsafe $0.offset < $1.offset }
        for index in unsafe pieces.indices {
            let piece = unsafe pieces[index]
            try unsafe body(piece.offset, piece.bytes)
        }
        return true
    }

    @unsafe
    private struct Piece {
        let offset: Int
        let bytes: UnsafeRawBufferPointer
    }

    func willRead(_ recipes: [BlockRecipe]) {
        let gate = storage.environment.gate
        gate.enter()
        defer { gate.leave() }
        // A hint: what cannot be found is an error when it is read.
        let parts = recipes.flatMap(\.parts)
        let records = try? unsafe withRecords { _, transaction throws(StorageError) in
            unsafe try parts.map { part throws(StorageError) in
                unsafe try transaction.get(storage.format.blocks, part.block.rawValue.bigEndianBytes)
            }
        }
        guard let records = unsafe records else { return }
        var places: [Range<Int>] = []
        for (index, part) in parts.enumerated() {
            if let record = unsafe records[index] { unsafe addAbsent(part, record, to: &places) }
        }
        read(places)
    }

    private func willRead(_ part: BlockPart, _ record: UnsafeRawBufferPointer) {
        var places: [Range<Int>] = []
        unsafe addAbsent(part, record, to: &places)
        read(places)
    }

    private func read(_ places: [Range<Int>]) {
        for place in places { readAhead(storage.environment.descriptor, place.lowerBound, place.count) }
    }

    /// Adds where in the file a part has what it needs, of a large record little, if that is
    /// not in memory. Neighbours are joined: what is long is read in another way.
    private func addAbsent(
        _ part: BlockPart, _ record: UnsafeRawBufferPointer, to places: inout [Range<Int>]
    ) {
        func add(_ bytes: UnsafeRawBufferPointer) {
            guard let place = unsafe storage.environment.absentPlace(bytes, of: record) else { return }
            if let last = places.last, last.upperBound == place.lowerBound {
                places[places.count - 1] = last.lowerBound..<place.upperBound
            } else {
                places.append(place)
            }
        }
        if part.codec != .none { return unsafe add(record) }
        for run in part.runs {
            if let bytes = unsafe try? pages(part, run, record) { unsafe add(bytes) }
        }
    }

    func differences(_ recipe: BlockRecipe, _ bytes: UnsafeRawBufferPointer, _ changed: PageSet)
        throws(StorageError) -> PageSet
    {
        var result = PageSet(pageCount: changed.pageCount)
        let size = systemPageSize
        // Pages that are not stored are zeros.
        var missing = changed
        missing.subtract(recipe.pages(of: changed.pageCount))
        for page in missing.pages {
            let new = unsafe UnsafeRawBufferPointer(rebasing: bytes[(page * size)..<((page + 1) * size)])
            if unsafe !CRC32C.isZero(new) { result.insert(page) }
        }
        if missing == changed { return result }
        return try unsafe withRecords(of: recipe) { records throws(StorageError) in
            for (index, part) in recipe.parts.enumerated() {
                let runs = part.runs.filter { $0.pages.contains(where: { changed.contains($0) }) }
                if runs.isEmpty { continue }
                let content = try unsafe content(of: part, records[index], "a block")
                for run in runs {
                    unsafe content.withPages(run) { old in
                        for page in run.pages where changed.contains(page) {
                            let at = (page - Int(run.page)) * size
                            let before = unsafe UnsafeRawBufferPointer(rebasing: old[at..<(at + size)])
                            let after = unsafe UnsafeRawBufferPointer(
                                rebasing: bytes[(page * size)..<((page + 1) * size)])
                            if unsafe !before.isEqual(to: after) { result.insert(page) }
                        }
                    }
                }
            }
            return result
        }
    }

    func storedBytes(_ recipe: BlockRecipe) throws(StorageError) -> Int {
        unsafe try withRecords { _, transaction throws(StorageError) in
            var finder = unsafe RecordFinder(storage: storage, transaction: transaction)
            var sum = 0
            for part in recipe.parts {
                sum +=
                    part.codec == .none
                    ? part.livePages * systemPageSize
                    : unsafe try finder.find(part.block, "a block").count - Int(part.offset)
            }
            return sum
        }
    }

    /// The bytes of a run of a part that is not compressed, where the record has them.
    private func pages(_ part: BlockPart, _ run: PageRun, _ record: UnsafeRawBufferPointer)
        throws(StorageError) -> UnsafeRawBufferPointer
    {
        let start = Int(part.offset) + Int(run.slot) * systemPageSize
        let end = start + Int(run.count) * systemPageSize
        guard end <= record.count else {
            throw .corrupt(path: storage.path, what: "block record \(part.block.rawValue) is too short")
        }
        return unsafe UnsafeRawBufferPointer(rebasing: record[start..<end])
    }

    /// The stored pages of a part.
    private func content(of part: BlockPart, _ record: UnsafeRawBufferPointer, _ name: String)
        throws(StorageError) -> PartContent
    {
        try damaged("\(name), block record \(part.block.rawValue)") { () throws(ZBlkHeader.Damage) in
            try unsafe PartContent(part, record)
        }
    }

    private func damaged<R>(_ name: String, _ body: () throws(ZBlkHeader.Damage) -> R) throws(StorageError)
        -> R
    {
        do throws(ZBlkHeader.Damage) {
            return try body()
        } catch {
            throw .corrupt(path: storage.path, what: "\(name): \(error)")
        }
    }

    /// Checks the pages of a part that count against their checksums; those that are compressed
    /// are checked when they are unpacked. Returns the record's header.
    @discardableResult
    private func verify(_ part: BlockPart, _ record: UnsafeRawBufferPointer, _ name: String)
        throws(StorageError) -> ZBlkHeader
    {
        let header = try damaged(name) { () throws(ZBlkHeader.Damage) in
            let header = try unsafe ZBlkHeader(decoding: record)
            guard header.describes(part) else {
                throw ZBlkHeader.Damage("its record is of another kind than its header says")
            }
            return header
        }
        if part.codec != .none { return header }
        let first = (Int(part.offset) - header.payloadOffset) / systemPageSize
        for run in part.runs {
            let slots = (first + Int(run.slot))..<(first + Int(run.slot + run.count))
            guard slots.lowerBound >= 0, slots.upperBound <= header.payloadPages else {
                throw .corrupt(path: storage.path, what: "\(name): pages its record does not have")
            }
            if let damaged = unsafe header.damagedPages(record, slots).first {
                let page = damaged - slots.lowerBound + Int(run.page)
                throw .corrupt(path: storage.path, what: "\(name), page \(page): its checksum is wrong")
            }
        }
        return header
    }

    /// A newer snapshot, if this one does not see all records: those were written ahead of its
    /// commit by the transaction that asks. Opened outside the gate, because the map may have to move.
    private func newer(for recipe: BlockRecipe) throws(StorageError) -> LMDBSnapshot? {
        let seesAll = unsafe try withRecords { _, transaction throws(StorageError) in
            for part in recipe.parts {
                let key = part.block.rawValue.bigEndianBytes
                if unsafe try transaction.get(storage.format.blocks, key) == nil { return false }
            }
            return true
        }
        return seesAll ? nil : try LMDBSnapshot(storage)
    }

    /// Runs `body` with the record of each part.
    private func withRecords<R>(
        of recipe: BlockRecipe, _ body: ([UnsafeRawBufferPointer]) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        let newer = try newer(for: recipe)
        let gate = storage.environment.gate
        gate.enter()
        defer { gate.leave() }
        // S is held while records are looked up, not while they are read. What they name is
        // not removed meanwhile: this snapshot sees it, or `newer` does.
        let records = unsafe try withRecords { _, transaction throws(StorageError) in
            var finder = unsafe RecordFinder(storage: storage, transaction: transaction, newer: newer)
            var records: [UnsafeRawBufferPointer] = unsafe []
            for part in recipe.parts { unsafe records.append(try finder.find(part.block, "a block")) }
            return unsafe records
        }
        return try withExtendedLifetime(newer) { () throws(StorageError) in try unsafe body(records) }
    }
}

/// Looks block records up.
@safe
private struct RecordFinder {
    private let storage: LMDBStorage
    private let transaction: LMDBTransaction
    private let newer: LMDBSnapshot?
    private var last: BlockID?
    private var lastRecord: UnsafeRawBufferPointer?

    init(storage: LMDBStorage, transaction: LMDBTransaction, newer: LMDBSnapshot? = nil) {
        self.storage = storage
        unsafe self.transaction = transaction
        self.newer = newer
    }

    /// The record; its bytes are not touched.
    mutating func find(_ id: BlockID, _ name: String) throws(StorageError) -> UnsafeRawBufferPointer {
        // The blocks of an extent are in one record.
        if id == last, let record = unsafe lastRecord { return unsafe record }
        let key = id.rawValue.bigEndianBytes
        var found = unsafe try transaction.get(storage.format.blocks, key)
        if unsafe found == nil { unsafe found = try newer?.transaction.get(storage.format.blocks, key) }
        guard let record = unsafe found else {
            throw .corrupt(path: storage.path, what: "\(name): block record \(id.rawValue) is missing")
        }
        last = id
        unsafe lastRecord = record
        return unsafe record
    }
}
