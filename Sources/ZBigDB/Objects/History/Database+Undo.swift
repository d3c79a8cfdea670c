internal import Logging

extension Database {
    /// Undoes transactions, as one new transaction: everything they changed becomes what it was before them, objects
    /// they made are removed (behaviour H25). Undoing an undo does it again.
    ///
    /// What others changed since stays, if it is something else: other objects, other entries of a map, pages of an array
    /// that are not next to each other; and an object whose class is ``ConflictResolving`` is asked.
    ///
    /// Other transactions wait while this one runs. Connections see it at their next boundary, like every commit.
    ///
    /// - Parameters:
    ///   - transactions: any number, in any order.
    ///   - user: who does it, for the log.
    ///   - note: why, for the log; nil for the note of what is undone.
    /// - Returns: the new transaction, or nil if everything is as it was before them.
    /// - Throws: ``UndoError`` if something was changed again since, ``HistoryError`` for a transaction that is not
    ///   there, was packed away, or if the database keeps no history; ``StorageError``.
    /// - Complexity: O(changes · log n), and O(parts) of objects that are removed and arrays that get shorter.
    @discardableResult
    public func undo(_ transactions: [TID], user: String = "", note: String? = nil) throws -> TID? {
        let storage = try openStorage()
        let connection = try pool.lease(for: self)
        defer { pool.giveBack(connection) }
        let tids = Set(transactions)
        let metadata = ["undo": tids.sorted().map(\.description).joined(separator: " ")]
        let note = try note ?? Self.note(tids, storage)
        do {
            let tid = try storage.undo(
                tids, user: user, note: note, metadata: metadata, UndoRules(connection: connection))
            if tid != nil { watch.didCommit() }
            return tid
        } catch var error as UndoError {
            error.className = try? connection.storedObject(error.oid).className
            throw error
        }
    }

    /// Undoes one transaction, as the other form does several.
    @discardableResult
    public func undo(_ transaction: TID, user: String = "", note: String? = nil) throws -> TID? {
        try undo([transaction], user: user, note: note)
    }

    /// The transactions that can be undone if nothing they changed was changed again, newest first (behaviour H26).
    ///
    /// - Parameters:
    ///   - before: only transactions before this one.
    ///   - limit: how many at most.
    /// - Throws: ``HistoryError/noHistory(path:last:)``, ``StorageError``.
    public func undoableTransactions(before: TID? = nil, limit: Int) throws -> [TransactionRecord] {
        try openStorage().undoable(before: before, limit: limit)
    }

    private static func note(_ tids: Set<TID>, _ storage: LMDBStorage) throws -> String {
        let snapshot = try storage.openSnapshot()
        let notes = try tids.sorted().map { tid in
            let record = try snapshot.transactions(before: tid.next, limit: 1).first
            return record.flatMap { $0.tid == tid && !$0.note.isEmpty ? $0.note : nil } ?? tid.description
        }
        return "undo: " + notes.joined(separator: "; ")
    }
}

extension UndoRules {
    /// Rules that know the classes of a connection's program.
    fileprivate init(connection: Connection) {
        self.init(
            resolve: { connection.resolveUndo($0, undone: $1, committed: $2, before: $3) },
            extent: { Self.arrayExtent($0) },
            blockSize: { Self.fields($0, of: ZBigFile.className)?["blockSize"]?.int })
    }

    /// Where the bytes of an array lie, and how many there are.
    private static func arrayExtent(_ state: [UInt8]) -> (file: OID, bytes: Int)? {
        guard let fields = fields(state, of: BigArray.className), case .array(let axes) = fields["shape"],
            case .text(let descr) = fields["dtype"], let dtype = try? DType(descr: descr),
            case .tagged(ReferenceEncoder.tag, .array(let parts)) = fields["file"],
            case .unsigned(let file) = parts.first,
            let bytes = try? ArrayShape.byteCount(axes.compactMap(\.int), itemSize: dtype.itemSize)
        else { return nil }
        return (OID(rawValue: file), bytes)
    }

    private static func fields(_ state: [UInt8], of className: String) -> [String: CBORValue]? {
        guard case .array(let parts) = try? CBORValue(decoding: state), parts.count == 3,
            parts[0] == .text(className), case .map(let pairs) = parts[2]
        else { return nil }
        var fields: [String: CBORValue] = [:]
        for pair in pairs { if case .text(let name) = pair.key { fields[name] = pair.value } }
        return fields
    }
}

extension CBORValue {
    fileprivate var int: Int? {
        if case .unsigned(let value) = self { return Int(exactly: value) }
        return nil
    }
}

extension Connection {
    /// An object's state from before a transaction that is undone, with what was committed since; nil: a conflict.
    fileprivate func resolveUndo(_ oid: OID, undone: [UInt8], committed: [UInt8], before: [UInt8]) -> [UInt8]?
    {
        do {
            let className = try decode(committed, of: oid) { try RecordHead(&$0.reader).className }
            guard let object = try instance(oid, className: className) as? any ConflictResolving else {
                return nil
            }
            let count = changed.count
            let merged = try merge(object, old: undone, committed: committed, new: before)
            // What refers to a new object cannot be stored.
            return changed.count == count ? merged : nil
        } catch {
            Log.transactions.notice("undoing a change of \(oid) was not resolved: \(error)")
            return nil
        }
    }
}
