internal import VirtMem

/// How far a verification has come.
public struct VerifyProgress: Sendable {
    /// Blocks checked.
    public let done: Int
    /// Blocks there are.
    public let total: Int
}

/// One thing that is wrong in a database file.
public struct VerifyProblem: Sendable, Equatable, CustomStringConvertible {
    /// The object it belongs to, if that can be told.
    public let oid: OID?
    /// The block of that object's array.
    public let block: Int?
    /// The page of that block.
    public let page: Int?
    /// What is wrong.
    public let what: String

    init(oid: OID? = nil, block: Int? = nil, page: Int? = nil, _ what: String) {
        self.oid = oid
        self.block = block
        self.page = page
        self.what = what
    }

    /// Where and what, as a line.
    public var description: String {
        let place = [oid.map { "object \($0)" }, block.map { "block \($0)" }, page.map { "page \($0)" }]
        return (place.compactMap { $0 } + [what]).joined(separator: ", ")
    }
}

/// What a verification found.
public struct VerifyReport: Sendable {
    /// Records read.
    public internal(set) var records = 0
    /// Block records read.
    public internal(set) var blocks = 0
    /// Payload pages whose checksum was computed.
    public internal(set) var pages = 0
    /// Log entries read.
    public internal(set) var transactions = 0
    /// What is wrong; empty for a sound file.
    public internal(set) var problems: [VerifyProblem] = []
}

/// Checks one snapshot of a file: that every record can be read, every block it
/// names is there, is its own, and has the bytes its checksums say, that objects have as many
/// entries as is said, that references lead to objects, that nothing is left over, and that the log is in order.
@safe
struct LMDBVerify {
    private let storage: LMDBStorage
    private let transaction: LMDBTransaction
    private(set) var report = VerifyReport()
    /// What relies on each block record.
    private var owners: [BlockID: Owner] = [:]

    private struct Owner {
        /// Neighbouring versions of one record count once.
        var count = 0
        var parts: [(key: RecordKey, part: BlockPart)] = []
    }

    /// Runs all checks. Other processes may write meanwhile; they are not seen.
    ///
    /// - Parameter visit: called with the newest state of each object.
    static func run(
        _ storage: LMDBStorage, _ progress: (VerifyProgress) -> Void, visit: (OID, [UInt8]) -> Void
    ) throws(StorageError) -> VerifyReport {
        unsafe try storage.environment.read { transaction throws(StorageError) in
            var verify = unsafe LMDBVerify(storage: storage, transaction: transaction)
            try verify.checkRecords(visit)
            try verify.checkStaged()
            try verify.checkBlocks(progress)
            try verify.checkLog()
            return verify.report
        }
    }

    private init(storage: LMDBStorage, transaction: LMDBTransaction) {
        self.storage = storage
        unsafe self.transaction = transaction
    }

    private func forEach(_ tree: LMDBTree, _ body: (LMDBEntry) throws(StorageError) -> Void)
        throws(StorageError)
    {
        let cursor = try unsafe transaction.cursor(tree)
        var entry = unsafe try cursor.first()
        while let at = unsafe entry {
            try unsafe body(at)
            unsafe entry = try cursor.next()
        }
    }

    private mutating func checkRecords(_ visit: (OID, [UInt8]) -> Void) throws(StorageError) {
        let last = TID(
            rawValue: try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.lastTID))
        let nextOID = try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.nextOID)
        var report = self.report
        var owners = self.owners
        var newer: (key: RecordKey, blocks: Set<BlockID>)?
        var tally = EntryTally()
        var references = ReferenceCheck(try unsafe transaction.cursor(storage.format.records))
        unsafe try forEach(storage.format.records) { entry throws(StorageError) in
            report.records += 1
            guard let (key, tid) = unsafe RecordKey.decode(entry.key) else {
                unsafe report.problems.append(VerifyProblem("a record has a key of \(entry.key.count) bytes"))
                return
            }
            if tid > last {
                report.problems.append(VerifyProblem(oid: key.oid, "\(key.part) is of the future: \(tid)"))
            }
            if key.oid.rawValue >= nextOID {
                report.problems.append(VerifyProblem(oid: key.oid, "its number was never given out"))
            }
            guard let value = unsafe try? RecordValue(decoding: Array(entry.value)) else {
                report.problems.append(VerifyProblem(oid: key.oid, "\(key.part) cannot be read"))
                return
            }
            if let problem = tally.add(key, value) { report.problems.append(problem) }
            // The newest version comes first.
            if newer?.key != key, case .state(let state) = value {
                if key.subkey.isEmpty { visit(key.oid, state) }
                try references.check(key, state)
            }
            let blocks = value.recipe?.blocks ?? []
            for part in value.recipe?.parts ?? [] {
                owners[part.block, default: Owner()].parts.append((key, part))
            }
            for id in blocks where newer?.key != key || newer?.blocks.contains(id) == false {
                owners[id, default: Owner()].count += 1
            }
            newer = (key, blocks)
        }
        if let problem = tally.finish() { report.problems.append(problem) }
        report.problems += unsafe references.finish(storage, transaction)
        self.report = report
        self.owners = owners
    }

    /// Blocks named by transactions in doubt belong to somebody as well.
    private mutating func checkStaged() throws(StorageError) {
        var owners = self.owners
        var problems: [VerifyProblem] = []
        unsafe try forEach(storage.format.prepared) { entry throws(StorageError) in
            guard let id = unsafe TransactionID(bytes: entry.key),
                let stage = unsafe try? Stage(id, decoding: Array(entry.value))
            else {
                problems.append(VerifyProblem("a prepared transaction cannot be read"))
                return
            }
            for write in stage.writes {
                for part in write.value?.recipe?.parts ?? [] {
                    let isNew = owners[part.block]?.parts.contains { $0.key == write.key } != true
                    owners[part.block, default: Owner()].parts.append((write.key, part))
                    if isNew { owners[part.block, default: Owner()].count += 1 }
                }
            }
        }
        report.problems += problems
        self.owners = owners
    }

    private mutating func checkBlocks(_ progress: (VerifyProgress) -> Void) throws(StorageError) {
        var pending: Set<BlockID> = []
        unsafe try forEach(storage.format.pending) { entry throws(StorageError) in
            if let (_, block) = unsafe OwnerSlot.decode(entry.key) { pending.insert(block) }
        }
        let total = try unsafe transaction.statistics(storage.format.blocks).entries
        var report = self.report
        var missing = owners
        unsafe try forEach(storage.format.blocks) { entry throws(StorageError) in
            report.blocks += 1
            progress(VerifyProgress(done: report.blocks, total: total))
            guard unsafe entry.key.count == 8 else {
                report.problems.append(VerifyProblem("a block record has an impossible key"))
                return
            }
            let id = unsafe BlockID(rawValue: UInt64(bigEndianBytes: entry.key[...]))
            let owner = missing.removeValue(forKey: id)
            unsafe storage.environment.willRead(entry.value, of: entry.value)
            unsafe check(entry.value, owner, &report)
            let shares = try unsafe storage.shares(id, transaction)?.live ?? 1
            if let owner, owner.count != shares {
                report.problems.append(
                    VerifyProblem(
                        oid: owner.parts.first?.key.oid,
                        "block record \(id.rawValue) says that \(shares) rely on it; it is \(owner.count)"
                    ))
            }
            if owner == nil, !pending.contains(id) {
                report.problems.append(VerifyProblem("block record \(id.rawValue) belongs to nobody"))
            }
        }
        for (id, owner) in missing {
            let key = owner.parts.first?.key
            report.problems.append(
                VerifyProblem(oid: key?.oid, block: key?.block, "its block record \(id.rawValue) is missing"))
        }
        self.report = report
    }

    private func check(_ record: UnsafeRawBufferPointer, _ owner: Owner?, _ report: inout VerifyReport) {
        let first = owner?.parts.first?.key
        do throws(ZBlkHeader.Damage) {
            let header = try unsafe ZBlkHeader(decoding: record)
            report.pages += header.payloadPages
            for (key, part) in owner?.parts ?? [] {
                guard let problem = header.contradiction(part, key) else { continue }
                report.problems.append(VerifyProblem(oid: key.oid, block: key.block, problem))
            }
            let damaged = unsafe header.damagedPages(record)
            if damaged.isEmpty { try unsafe checkPacked(record, header) }
            for slot in damaged {
                let (block, page) = header.place(of: slot)
                report.problems.append(
                    VerifyProblem(
                        oid: first?.oid ?? header.oid, block: block, page: page, "its checksum is wrong"))
            }
        } catch {
            report.problems.append(VerifyProblem(oid: first?.oid, block: first?.block, error.description))
        }
    }

    /// Whether what is compressed can be read.
    private func checkPacked(_ record: UnsafeRawBufferPointer, _ header: ZBlkHeader)
        throws(ZBlkHeader.Damage)
    {
        if header.codec == .none { return }
        unsafe try Scratch(header.contentPages * header.pageSize).withBytes {
            bytes throws(ZBlkHeader.Damage) in
            unsafe try header.unpack(record, into: bytes)
        }
    }

    private mutating func checkLog() throws(StorageError) {
        let last = TID(
            rawValue: try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.lastTID))
        var report = self.report
        var newest = TID.zero
        unsafe try forEach(storage.format.transactions) { entry throws(StorageError) in
            report.transactions += 1
            newest = unsafe TID(rawValue: UInt64(bigEndianBytes: entry.key[...]))
            if unsafe (try? TransactionRecord(tid: newest, decoding: Array(entry.value))) == nil {
                report.problems.append(VerifyProblem("the log entry \(newest) cannot be read"))
            }
        }
        if newest != last {
            report.problems.append(
                VerifyProblem("the log ends at \(newest), the last transaction is \(last)"))
        }
        self.report = report
    }
}

extension ZBlkHeader {
    /// The block and the page of it that a payload page is.
    fileprivate func place(of slot: Int) -> (block: Int, page: Int?) {
        if codec != .none { return (firstBlock, nil) }
        return switch kind {
        case .full: (firstBlock, slot)
        case .extent: (firstBlock + slot / pagesPerBlock, slot % pagesPerBlock)
        case .delta: (firstBlock, pages?.pages.dropFirst(slot).first ?? slot)
        }
    }

    /// What a record says of itself that a recipe does not; nil if they agree.
    fileprivate func contradiction(_ part: BlockPart, _ key: RecordKey) -> String? {
        guard let block = key.block else { return "it is no block" }
        if oid != key.oid || !(firstBlock..<(firstBlock + blockCount)).contains(block) {
            return "its header says object \(oid), block \(firstBlock)"
        }
        let start = kind == .extent ? (block - firstBlock) * pagesPerBlock : 0
        if part.kind != kind || !describes(part)
            || Int(part.offset) != payloadOffset + start * pageSize
        {
            return "its record is of another kind than its header says"
        }
        let slots = kind == .extent ? pagesPerBlock : contentPages
        let bitmap = pages?.pages
        if let bitmap, bitmap.count != contentPages { return "its record has other pages" }
        for run in part.runs {
            let end = Int(run.slot + run.count)
            if end > slots || run.pages.upperBound > pagesPerBlock { return "its record has fewer pages" }
            if kind != .delta, run.page != run.slot { return "its pages are not in their places" }
            if let bitmap, Array(run.pages) != Array(bitmap[Int(run.slot)..<end]) {
                return "its record has other pages"
            }
        }
        return nil
    }
}
