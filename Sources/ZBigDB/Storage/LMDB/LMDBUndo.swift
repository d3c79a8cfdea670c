internal import CLMDB
internal import VirtMem

// Undoing is a transaction that gives records the values they had before others. It is planned and
// written in one LMDB transaction under the commit lock: nothing can change, or be packed away,
// between the plan and the commit. Blocks get their older recipes back and share block records with
// the versions those come from.

/// What records become when transactions are undone.
@safe
struct LMDBUndo {
    /// What a record becomes.
    private struct Planned {
        /// Nil: it is removed.
        var value: RecordValue?
        /// The version that had this value; nil if there was none, or if it is a new one.
        var version: TID?
        /// Whether it keeps something of what was committed since.
        var isMerged = false
        let undone: TID
    }

    private let storage: LMDBStorage
    private let transaction: LMDBTransaction
    private let rules: UndoRules
    private var planned: [RecordKey: Planned] = [:]
    /// The pages that are brought back, of each block.
    private var pages: [RecordKey: PageSet] = [:]

    init(storage: LMDBStorage, transaction: LMDBTransaction, rules: UndoRules) {
        self.storage = storage
        unsafe self.transaction = transaction
        self.rules = rules
    }

    /// Adds transactions. The newest is taken back first.
    mutating func plan(_ tids: Set<TID>) throws {
        let records = try tids.sorted(by: >).map { try record($0) }
        for record in records {
            let keys = record.changes.keys
            try unsafe storage.refuseInDoubt(transaction, Set(keys).contains)
            for key in keys { try plan(key, record.tid) }
        }
    }

    private func record(_ tid: TID) throws -> TransactionRecord {
        let path = storage.path
        let last = TID(
            rawValue: try unsafe transaction.counter(storage.format.meta, FileFormat.MetaKey.lastTID))
        guard storage.keepsHistory else { throw HistoryError.noHistory(path: path, last: last) }
        let oldest = try unsafe storage.oldestKept(transaction)
        guard tid > oldest else {
            let before = TID(rawValue: max(tid.rawValue, 1) - 1)
            throw HistoryError.notKept(path: path, moment: before, oldest: oldest)
        }
        guard let bytes = unsafe try transaction.get(storage.format.transactions, tid.rawValue.bigEndianBytes)
        else { throw HistoryError.noTransaction(path: path, tid: tid) }
        guard let record = unsafe try? TransactionRecord(tid: tid, decoding: Array(bytes)) else {
            throw StorageError.corrupt(path: path, what: "the log entry \(tid) cannot be read")
        }
        return record
    }

    // MARK: One record

    private mutating func plan(_ key: RecordKey, _ tid: TID) throws {
        let versions = try versions(key, from: tid, limit: 2)
        // Removing what was not there leaves no version.
        guard let undone = versions.first, undone.tid == tid else { return }
        let before = versions.dropFirst().first
        let current = try planned[key] ?? newest(key, tid)
        if let old = before?.content?.recipe ?? BlockRecipe.none(for: key) {
            notePages(key, old, undone.content?.recipe ?? BlockRecipe())
        }
        if current.version == tid || current.value == undone.content {
            planned[key] = Planned(
                value: before?.content, version: before?.tid, isMerged: current.isMerged, undone: tid)
        } else if current.value == before?.content {
            // It has that value already.
            return
        } else if let merged = try merge(key, before?.content, undone.content, current.value) {
            planned[key] = Planned(value: merged, version: nil, isMerged: true, undone: tid)
        } else {
            throw conflict(key, tid, try newest(key, tid).version)
        }
    }

    private mutating func notePages(_ key: RecordKey, _ old: BlockRecipe, _ undone: BlockRecipe) {
        let count = max(old.endPage, undone.endPage, pages[key]?.pageCount ?? 0)
        var changed = old.differences(from: undone, pageCount: count)
        for page in pages[key]?.pages ?? [] { changed.insert(page) }
        pages[key] = changed
    }

    /// What was there before and what was committed since, if they do not touch the same.
    private func merge(
        _ key: RecordKey, _ before: RecordValue?, _ undone: RecordValue?, _ current: RecordValue?
    )
        throws -> RecordValue?
    {
        switch (before, undone, current) {
        case (.block(let before), .block(let undone), .block(let current)):
            let count = max(before.endPage, undone.endPage, current.endPage)
            let mine = before.differences(from: undone, pageCount: count)
            let theirs = current.differences(from: undone, pageCount: count)
            // An element may lie in two pages.
            guard theirs.isDisjoint(with: mine.widened(by: 1)) else { return nil }
            return .block(current.restoring(mine, from: before))
        case (.state(let before), .state(let undone), .state(let current)) where key.subkey.isEmpty:
            return rules.resolve(key.oid, undone, current, before).map { .state($0) }
        default:
            return nil
        }
    }

    private func conflict(_ key: RecordKey, _ tid: TID, _ current: TID?) -> UndoError {
        UndoError(oid: key.oid, className: nil, part: key.part, undone: tid, current: current ?? .zero)
    }

    // MARK: The whole

    /// All records that change, ascending.
    mutating func writes() throws -> [RecordWrite] {
        for (key, plan) in planned where key.subkey.isEmpty {
            if plan.value == nil {
                try checkParts(of: key.oid, plan.undone)
            } else if case .state(let new) = plan.value,
                case .state(let old) = try newest(key, plan.undone).value
            {
                try checkCut(old, new, plan.undone)
            }
        }
        for (key, pages) in pages { try checkEdges(key, pages) }
        var writes: [RecordWrite] = []
        for (key, plan) in planned {
            let current = try newest(key, plan.undone)
            if current.value == plan.value, !touched.contains(key) { continue }
            writes.append(RecordWrite(key: key, value: plan.value, base: current.version))
        }
        return writes.sorted { $0.key < $1.key }
    }

    /// Files of arrays that get shorter: their records get a new version, which those who store
    /// blocks meanwhile rely on.
    private var touched: Set<RecordKey> = []

    /// An object whose creation is undone must have no parts that came later.
    private func checkParts(of oid: OID, _ tid: TID) throws {
        try forEachPart(of: oid, from: []) { key, version in
            if let plan = planned[key], plan.value == nil { return }
            throw conflict(key, tid, version)
        }
    }

    /// Where an array gets shorter, nothing may have been stored since beyond its new end.
    private mutating func checkCut(_ old: [UInt8], _ new: [UInt8], _ tid: TID) throws {
        guard let (file, oldBytes) = rules.extent(old), let (newFile, newBytes) = rules.extent(new),
            file == newFile, newBytes < oldBytes
        else { return }
        let key = RecordKey(file)
        let state = try planned[key] ?? newest(key, tid)
        guard case .state(let bytes) = state.value, let blockSize = rules.blockSize(bytes) else { return }
        try forEachPart(of: file, from: UInt64(newBytes / blockSize).bigEndianBytes) { part, version in
            guard part.block != nil else { return }
            if let plan = planned[part] {
                if plan.isMerged { throw conflict(part, tid, version) }
            } else if version > tid {
                throw conflict(part, tid, version)
            }
        }
        planned[key] = state
        touched.insert(key)
    }

    /// Where what comes back reaches the end of a block, the next page of its neighbour must not
    /// have changed since: an element may lie in both.
    private func checkEdges(_ key: RecordKey, _ pages: PageSet) throws {
        guard let plan = planned[key], let block = key.block,
            case .state(let state) = try newest(RecordKey(key.oid), plan.undone).value,
            let blockSize = rules.blockSize(state)
        else { return }
        let last = blockSize / systemPageSize - 1
        if pages.contains(0), block > 0 { try checkEdge(key.oid, block - 1, page: last, plan.undone) }
        if pages.contains(last) { try checkEdge(key.oid, block + 1, page: 0, plan.undone) }
    }

    private func checkEdge(_ oid: OID, _ block: Int, page: Int, _ tid: TID) throws {
        let key = RecordKey(oid, block: block)
        if let plan = planned[key], !plan.isMerged { return }
        let current = try newest(key, tid)
        guard let version = current.version, version > tid else { return }
        let then = try versions(key, from: tid, limit: 1).first?.content?.recipe ?? BlockRecipe()
        let changed = (current.value?.recipe ?? BlockRecipe()).differences(from: then, pageCount: page + 1)
        if changed.contains(page) { throw conflict(key, tid, version) }
    }

    // MARK: Looking things up

    private struct Found {
        let tid: TID
        let value: RecordValue
        /// Nil if it was removed.
        var content: RecordValue? { value == .removed ? nil : value }
    }

    private func versions(_ key: RecordKey, from tid: TID, limit: Int) throws(StorageError) -> [Found] {
        let cursor = try unsafe transaction.cursor(storage.format.records)
        var found: [Found] = []
        var entry = unsafe try cursor.seek(key.encoded(tid))
        while found.count < limit, let at = unsafe entry, let (other, tid) = unsafe RecordKey.decode(at.key),
            other == key
        {
            found.append(Found(tid: tid, value: try unsafe storage.value(at.value, key)))
            unsafe entry = try cursor.next()
        }
        return found
    }

    private func newest(_ key: RecordKey, _ undone: TID) throws(StorageError) -> Planned {
        let newest = try versions(key, from: .largest, limit: 1).first
        return Planned(value: newest?.content, version: newest?.tid, undone: undone)
    }

    /// The parts an object has now, and the version of each.
    private func forEachPart(of oid: OID, from: [UInt8], _ body: (RecordKey, TID) throws -> Void) throws {
        let cursor = try unsafe transaction.cursor(storage.format.records)
        var last: RecordKey?
        var entry = unsafe try cursor.seek(oid.rawValue.bigEndianBytes + from)
        while let at = unsafe entry, let (key, tid) = unsafe RecordKey.decode(at.key), key.oid == oid {
            if key != last, key.block != nil || key.isEntry, unsafe !RecordValue.isRemoval(at.value) {
                try body(key, tid)
            }
            last = key
            unsafe entry = try cursor.next()
        }
    }
}

extension BlockRecipe {
    /// What a block has that is not stored; nil for a key that is no block's.
    fileprivate static func none(for key: RecordKey) -> BlockRecipe? {
        key.block == nil ? nil : BlockRecipe()
    }
}

extension ChangeSet {
    /// All keys, in no order.
    var keys: [RecordKey] {
        objects.flatMap { oid, parts in
            (parts.state ? [RecordKey(oid)] : []) + Set(parts.blocks).map { RecordKey(oid, block: $0) }
                + parts.entries.map { RecordKey(oid, $0) }
        }
    }
}
