internal import CLMDB
internal import VirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// Rewrites a file that nobody else has open: arrays in order, in large aligned
/// records, nothing free in between, and as short as its content.
///
/// The new file is made beside the old one and takes its name when it is complete
/// and on the disk: until then a kill or an error leaves the old one as it was,
/// afterwards there is only the new one.
struct LMDBRewrite {
    /// LMDB transactions of about this many bytes.
    private static let batchBytes = 64 << 20
    private static let pageOfRecords = 1024
    static let suffix = ".compacting"

    private let source: LMDBStorage
    private let target: LMDBStorage
    private let snapshot: LMDBSnapshot
    private let progress: (CompactionProgress) throws -> Void
    /// Neighbouring blocks that are to be written next.
    private var run: [StoredRecord] = []

    private init(
        source: LMDBStorage, target: LMDBStorage, snapshot: LMDBSnapshot,
        progress: @escaping (CompactionProgress) throws -> Void
    ) {
        self.source = source
        self.target = target
        self.snapshot = snapshot
        self.progress = progress
    }

    /// Rewrites the file at `path`.
    static func run(
        _ path: String, _ options: LMDBStorage.Options,
        _ progress: @escaping (CompactionProgress) throws -> Void
    ) throws -> CompactionReport {
        let source = try LMDBStorage(path, options)
        try source.environment.takeSole()
        guard try source.inDoubt().isEmpty else {
            throw StorageError.protocolViolation(
                "\(path): transactions are in doubt; decide them with resolve before the file is rewritten")
        }
        var report = CompactionReport()
        report.fileBytesBefore = source.environment.extent().length
        let temporary = path + suffix
        removeFiles(temporary)
        do {
            var own = options
            own.create = true
            own.blockSize = source.blockSize
            own.compression = source.compression
            own.keepsHistory = source.keepsHistory
            own.compactsAutomatically = false
            own.environment.durability = .none
            let target = try LMDBStorage(temporary, own)
            try target.environment.takeSole()
            var rewrite = LMDBRewrite(
                source: source, target: target, snapshot: try LMDBSnapshot(source), progress: progress)
            report.movedBlocks = try rewrite.copy()
            try target.environment.flush()
            try take(the: temporary, as: path)
            report.fileBytesAfter = target.environment.extent().length
        } catch {
            removeFiles(temporary)
            throw error
        }
        unsafe unlink(temporary + "-lock")
        return report
    }

    private static func removeFiles(_ path: String) {
        unsafe unlink(path)
        unsafe unlink(path + "-lock")
    }

    /// Gives the new file its name. Both files are held by this process alone, so that who
    /// opens one of them now is told to wait, and nobody uses old locks with a new file.
    private static func take(the temporary: String, as path: String) throws {
        guard unsafe rename(temporary, path) == 0 else {
            throw LMDBCode.error(errno, path, "putting the rewritten file in place")
        }
        unsafe unlink(path + "-lock")
        flushFolder(of: path)
    }

    private mutating func copy() throws -> Int {
        let total = try source.recordCount()
        var moved = 0
        var done = 0
        var from: [UInt8]? = []
        while let start = from {
            let page = try snapshot.records(from: start, limit: Self.pageOfRecords)
            moved += source.keepsHistory ? try keep(page.records) : try join(page.records)
            done += page.records.count
            from = page.next
            try progress(CompactionProgress(done: done, total: total))
        }
        moved += try writeRun()
        try copyTrees()
        return moved
    }

    // MARK: Without history

    /// Writes records, the blocks among them in runs.
    private mutating func join(_ records: [StoredRecord]) throws -> Int {
        var moved = 0
        var others: [StoredRecord] = []
        for record in records {
            guard record.value.recipe != nil else {
                others.append(record)
                continue
            }
            if let last = run.last, !last.key.isFollowed(by: record.key) || run.count == Self.mostInRun {
                moved += try writeRun()
            }
            run.append(record)
        }
        try target.adopt(others, LMDBBlockWriter(target, isAhead: true))
        return moved
    }

    private static let mostInRun = 4096

    private mutating func writeRun() throws -> Int {
        defer { run = [] }
        guard let blockSize = try snapshot.blockSize(of: run.first?.value.recipe) else { return 0 }
        let most = OpenExtent.mostBlocks(of: blockSize)
        for start in stride(from: 0, to: run.count, by: most) {
            let some = run[start..<min(start + most, run.count)]
            let writer = LMDBBlockWriter(target, isAhead: true)
            let parts = try snapshot.copy(
                some.map { ($0.key, $0.value.recipe ?? BlockRecipe()) }, blockSize: blockSize, to: writer)
            let adopted = zip(some, parts).map { record, part in
                StoredRecord(
                    key: record.key, tid: record.tid,
                    value: .block(BlockRecipe(parts: part.map { [$0] } ?? [])))
            }
            try target.adopt(adopted, writer)
        }
        return run.count
    }

    // MARK: With history

    /// Writes records as they are, and the block records they name: versions share them.
    private func keep(_ records: [StoredRecord]) throws -> Int {
        var adopted: [StoredRecord] = []
        var copied = 0
        for record in records {
            guard var recipe = record.value.recipe else {
                adopted.append(record)
                continue
            }
            for index in recipe.parts.indices {
                let part = recipe.parts[index]
                let (shift, isNew) = try copyRecord(part.block)
                if isNew { copied += 1 }
                recipe.parts[index] = part.shifted(by: shift)
            }
            adopted.append(StoredRecord(key: record.key, tid: record.tid, value: .block(recipe)))
        }
        try target.adopt(adopted, LMDBBlockWriter(target, isAhead: true))
        return copied
    }

    /// Copies a block record, if it was not yet; returns how much farther from the record's start
    /// its payload is now.
    private func copyRecord(_ id: BlockID) throws -> (shift: Int, isNew: Bool) {
        let key = id.rawValue.bigEndianBytes
        return try unsafe snapshot.withRecord(id) { record in
            let header = try unsafe ZBlkHeader(decoding: record)
            let known = unsafe try target.environment.read { transaction throws(StorageError) -> Int? in
                guard let copy = unsafe try transaction.get(target.format.blocks, key) else { return nil }
                return unsafe Int(copy.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
            }
            if let known { return (known - header.payloadOffset, false) }
            try target.environment.makeRoom(record.count + 1 << 20)
            let offset = unsafe try target.environment.write { transaction throws(WriteFailure) in
                let memory = try unsafe transaction.reserve(target.format.blocks, key, record.count)
                return unsafe header.copy(record, to: memory, target.environment.fileOffset(ofNew: memory))
            }
            if let shares = try snapshot.shares(id) {
                unsafe try target.environment.write { transaction throws(WriteFailure) in
                    try unsafe target.setShares(id, shares, transaction)
                }
            }
            return (offset - header.payloadOffset, true)
        }
    }

    // MARK: The rest

    private func copyTrees() throws {
        let (from, to) = (source.format, target.format)
        for (tree, copy) in [(from.transactions, to.transactions), (from.outcomes, to.outcomes)] {
            var start: [UInt8]? = []
            while let at = start {
                let page = try snapshot.entries(of: tree, from: at, limit: Self.pageOfRecords)
                try target.environment.makeRoom(page.entries.reduce(0) { $0 + $1.value.count + 512 })
                unsafe try target.environment.write { transaction throws(WriteFailure) in
                    for (key, value) in page.entries { try unsafe transaction.put(copy, key, value) }
                }
                start = page.next
            }
        }
        typealias Key = FileFormat.MetaKey
        let tags = unsafe try snapshot.withRecords { _, transaction throws(StorageError) in
            try unsafe source.tags(transaction)
        }
        let counters =
            try
            ([Key.lastTID, Key.logStart, Key.nextOID, Key.historyStart, Key.lastRemoval].map {
                ($0, try snapshot.counter($0))
            } + tags.map { (Key.tag + Array($0.name.utf8), $0.tid.rawValue) })
        let nextBlock = source.keepsHistory ? try snapshot.counter(Key.nextBlock) : nil
        unsafe try target.environment.write { transaction throws(WriteFailure) in
            for (key, value) in counters { try unsafe transaction.setCounter(to.meta, key, value) }
            if let nextBlock { try unsafe transaction.setCounter(to.meta, Key.nextBlock, nextBlock) }
        }
    }
}

extension BlockPart {
    /// The part after its record's payload moved by so many bytes.
    fileprivate func shifted(by shift: Int) -> BlockPart {
        BlockPart(
            kind: kind, codec: codec, block: block, offset: UInt32(Int(offset) + shift),
            storedPages: storedPages, runs: runs)
    }
}

extension ZBlkHeader {
    /// Copies a record, the payload of an extent to where it is aligned again. Returns its offset.
    fileprivate func copy(
        _ record: UnsafeRawBufferPointer, to memory: UnsafeMutableRawBufferPointer, _ fileOffset: Int?
    ) -> Int {
        unsafe memory.copyMemory(from: record)
        guard kind == .extent else { return payloadOffset }
        var header = self
        let first = Self.payloadOffset(
            kind: kind, pages: payloadPages, pagesPerBlock: pagesPerBlock, pageSize: pageSize)
        header.payloadOffset = OpenExtent.payloadOffset(
            from: first, firstByte: firstBlock * pagesPerBlock * pageSize, fileOffset: fileOffset)
        guard header.payloadOffset + payloadSize <= memory.count else { return payloadOffset }
        let payload = unsafe UnsafeRawBufferPointer(
            rebasing: record[payloadOffset..<(payloadOffset + payloadSize)])
        let end = header.payloadOffset + payloadSize
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[header.payloadOffset..<end]).copyMemory(
            from: payload)
        _ = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[end...]).initializeMemory(
            as: UInt8.self, repeating: 0)
        unsafe memory.copyBytes(from: header.encoded())
        return header.payloadOffset
    }
}

extension LMDBStorage {
    /// Writes records with the block records that `writer` has for them.
    fileprivate func adopt(_ records: [StoredRecord], _ writer: LMDBBlockWriter) throws {
        let contents = try writer.finish()
        if records.isEmpty, contents.written.isEmpty { return }
        var uses: [BlockID: Int] = [:]
        for record in records { for id in record.value.recipe?.blocks ?? [] { uses[id, default: 0] += 1 } }
        let counts = uses
        try environment.makeRoom(records.count * 1024)
        unsafe try environment.write { transaction throws(WriteFailure) in
            for record in records {
                try unsafe transaction.put(
                    format.records, record.key.encoded(record.tid), record.value.encoded())
            }
            try unsafe settle(contents, [], uses: counts, transaction)
            for id in contents.written {
                if let owner { try unsafe transaction.delete(format.pending, owner.key(id)) }
            }
        }
        writer.handOver()
    }
}
