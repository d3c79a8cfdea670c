/// The object behind a ``PersistentList``: the nodes of a counted tree, each a record of its own.
///
/// It has no state but its nodes. In memory it has those that this transaction changed, and some of the inner ones it
/// looked at.
public final class ListObject: PersistentObject {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.PersistentList" }

    private var tree = ListTree()
    /// The snapshot whose stored nodes the tree has; nil if it was not loaded.
    private var shown: TID?
    /// Why the tree is not what it should be, after a change that could not be finished.
    private var failure: (any Error)?
    /// A buffer that elements are encoded in, used again and again.
    private var buffer: [UInt8] = []

    override init() { super.init() }
    override init(ghost oid: OID) { super.init(ghost: oid) }
    override class func ghost(_ oid: OID) -> PersistentObject { ListObject(ghost: oid) }

    /// Whether it was never stored. It may lose its connection again, and with it the numbers of objects, so
    /// references to them are not written before the commit.
    private var isNew: Bool { storedVersion == nil && objectStatus != .ghost && !isImported }

    /// Sees that the tree is the one of the connection's snapshot, with this transaction's changes.
    private func current() throws -> ListSource {
        if let failure { throw failure }
        if isNew { return .none }
        guard let connection, let oid else { throw DatabaseError.connectionClosed(what: objectLabel) }
        let snapshot = try connection.snapshot
        let source = ListSource(snapshot: snapshot, oid: oid, path: connection.path)
        if shown == nil || !tree.hasChanges && shown != snapshot.tid {
            tree = try ListTree(source)
            shown = snapshot.tid
        }
        return source
    }

    // MARK: Reading

    func count() throws -> Int {
        _ = try current()
        return tree.count
    }

    /// The element at a position.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``.
    func place(of index: Int) throws -> ListTree.Place {
        let source = try current()
        try check(index, tree.count)
        return try tree.place(of: index, source)
    }

    /// - Parameter isEnd: whether the place behind the last element is one as well.
    private func check(_ index: Int, _ count: Int, isEnd: Bool = false) throws {
        guard index >= 0, index < count || isEnd && index == count else {
            throw DatabaseError.indexOutOfRange(what: objectLabel, index: index, count: count)
        }
    }

    /// A walk over the positions of a range that there are.
    func walk(_ range: (any RangeExpression<Int>)?, reversed: Bool) throws -> ListWalk {
        let source = try current()
        let wanted = range?.relative(to: 0..<Int.max) ?? 0..<Int.max
        if wanted.lowerBound < 0 { try check(wanted.lowerBound, tree.count) }
        return ListWalk(tree, source, wanted.clamped(to: 0..<tree.count), reversed: reversed)
    }

    // MARK: Changing

    /// Encoded elements, or the values themselves as long as nothing of the list is stored.
    func items<Value: PersistentValue>(_ value: Value) throws -> ListLeaf {
        if isNew { return ListLeaf(kept: [value]) }
        var encoder = StateEncoder(connection: try openConnection)
        swap(&encoder.writer.bytes, &buffer)
        defer { swap(&encoder.writer.bytes, &buffer) }
        encoder.writer.bytes.removeAll(keepingCapacity: true)
        try value.encode(to: &encoder)
        try encoder.checkOneItem(from: 0, value)
        let bytes = Array(encoder.writer.bytes[...])
        return ListLeaf(bytes: bytes, ends: [bytes.count])
    }

    /// Gathers many elements.
    func portions() throws -> ListPortions { ListPortions(isNew ? nil : try openConnection) }

    private var openConnection: Connection {
        get throws {
            if let connection { return connection }
            throw DatabaseError.connectionClosed(what: objectLabel)
        }
    }

    /// Inserts elements before the one at `index`, or at the end with nil.
    func insert(_ portions: [ListLeaf], at index: Int?) throws {
        if portions.isEmpty { return }
        try change { tree, source in
            var position = index ?? tree.count
            try check(position, tree.count, isEnd: true)
            for items in portions {
                try tree.insert(items, at: position, source)
                position += items.count
            }
        }
    }

    func replace(_ index: Int, with item: ListLeaf) throws {
        try change { tree, source in
            try check(index, tree.count)
            try tree.replace(index, with: item, source)
        }
    }

    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)`` if not all of them are there.
    func remove(_ range: some RangeExpression<Int>) throws {
        let wanted = range.relative(to: 0..<Int.max)
        try change { tree, source in
            try check(wanted.lowerBound, tree.count, isEnd: true)
            let end = wanted.upperBound == .max ? tree.count : wanted.upperBound
            if end > tree.count { try check(end - 1, tree.count) }
            if wanted.lowerBound < end { try tree.remove(wanted.lowerBound..<end, source) }
        }
    }

    /// Takes an element out, and puts it in so that it is at index `end`.
    func move(_ start: Int, to end: Int) throws {
        try change { tree, source in
            try check(start, tree.count)
            try check(end, tree.count)
            if start == end { return }
            let item = try tree.item(start, source)
            try tree.remove(start..<(start + 1), source)
            try tree.insert(item, at: end, source)
        }
    }

    /// Runs `body` with the tree. If it fails in the middle, nothing of this transaction's changes is committed.
    private func change(_ body: (inout ListTree, ListSource) throws -> Void) throws {
        if objectStatus != .changed, oid != nil { try willChange() }
        let source = try current()
        do {
            try body(&tree, source)
        } catch let error as DatabaseError {
            if case .indexOutOfRange = error { throw error }
            failure = error
            throw error
        } catch {
            failure = error
            throw error
        }
    }

    /// Adds elements that are encoded already, to a list of an import.
    func appendImported(_ items: ListLeaf) throws {
        // Nothing of it is stored.
        shown = shown ?? .zero
        try tree.insert(items, at: tree.count, .none)
    }

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        if let failure { throw failure }
        let oid = try builder.oid(of: self)
        if storedVersion == nil { try builder.writeState(of: self) }
        guard isNew else {
            if tree.hasChanges { try tree.collectWrites(oid, &builder) }
            return
        }
        if tree.count == 0 { return }
        // Encoded now, elements fit into other leaves than before.
        var encoded = ListTree()
        var walk = ListWalk(tree, .none, 0..<tree.count, reversed: false)
        while let run = try walk.next() {
            var portions = ListPortions(builder.connection)
            for value in run.items.kept { try portions.add(value) }
            for items in portions.finish() { try encoded.insert(items, at: encoded.count, .none) }
        }
        try encoded.collectWrites(oid, &builder)
    }

    override func didCommit() { forget() }
    override func didRevert() { forget() }
    override func didBecomeGhost() { forget() }

    private func forget() {
        tree = ListTree()
        shown = nil
        failure = nil
    }

    // MARK: Savepoints

    /// What a transaction has changed so far.
    struct Pending {
        fileprivate let tree: ListTree
        fileprivate let shown: TID?
        fileprivate let failure: (any Error)?
    }

    /// What this transaction has changed so far.
    var pending: Pending {
        get { Pending(tree: tree, shown: shown, failure: failure) }
        set { (tree, shown, failure) = (newValue.tree, newValue.shown, newValue.failure) }
    }
}
