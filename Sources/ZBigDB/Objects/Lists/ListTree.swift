/// The nodes of a list: a counted tree, as stored and with this transaction's changes. Leaves have elements, inner nodes
/// their children with the number of elements below each, so that a position is found from the root down.
///
/// It is a value: who goes through a copy sees nothing of later changes. Stored nodes are read where they are needed; the
/// source is not part of it, as it would keep a snapshot open.
struct ListTree {
    /// The number of the root. It stays the root: what it holds moves when the tree grows.
    static let root: UInt64 = 0
    /// So many unchanged inner nodes are kept in memory.
    private static let mostKept = 1024

    /// The number of elements.
    private(set) var count = 0
    /// The level of the root; 0 if it is a leaf.
    var height = 0
    /// The number of the next new node.
    var next = root + 1
    /// Numbers below are of nodes that may be stored.
    private(set) var firstNew = root
    /// Changed inner nodes, and some unchanged ones.
    var branches: [UInt64: ListBranch] = [:]
    /// Changed leaves.
    var leaves: [UInt64: ListLeaf] = [:]
    /// Stored nodes that are no part of it any more.
    private(set) var removed: Set<UInt64> = []
    var hasChanges = false
    private var unchanged = 0
    /// The stored leaf that was looked at last.
    private var page: ListPage?

    /// An empty list.
    init() { leaves[Self.root] = ListLeaf() }

    /// A stored list.
    init(_ source: ListSource) throws {
        self.init()
        guard let head = try source.root(), let next = head.next else { return }
        height = head.level
        self.next = next
        firstNew = next
        leaves = [:]
        if height == 0 {
            count = head.items
        } else {
            let branch = try source.branch(Self.root, level: height, count: nil)
            count = branch.count
            branches[Self.root] = branch
            unchanged = 1
        }
    }

    mutating func grow(by elements: Int) { count += elements }

    // MARK: Looking

    /// A place where an element is read.
    enum Place {
        /// At an index of these bytes.
        case encoded([UInt8], at: Int)
        case kept(any PersistentValue)
    }

    /// The element at a position that there is.
    mutating func place(of position: Int, _ source: ListSource) throws -> Place {
        makeRoom()
        let (leaf, count, offset) = try find(position, source)
        guard offset < count else { throw source.damage(leaf, "it is in two places") }
        if let items = leaves[leaf] {
            guard items.count == count else { throw source.damage(leaf, "it is in two places") }
            return items.kept.isEmpty
                ? .encoded(items.bytes, at: items.start(offset)) : .kept(items.kept[offset])
        }
        if page?.id != leaf { page = try source.page(leaf, count: count) }
        do {
            guard let start = try page?.place(offset), let bytes = page?.bytes else {
                throw source.damage(leaf, "it has no element \(offset)")
            }
            return .encoded(bytes, at: start)
        } catch let error as CBORReader.Malformed {
            throw source.damage(leaf, error.description)
        }
    }

    /// The leaf with a position, and the place there.
    private mutating func find(_ position: Int, _ source: ListSource) throws
        -> (leaf: UInt64, count: Int, offset: Int)
    {
        var (id, count, offset) = (Self.root, self.count, position)
        for level in stride(from: height, to: 0, by: -1) {
            let step = try step(id, level: level, count: count, to: offset, inserting: false, source)
            (id, count, offset) = (step.child.id, step.child.count, step.offset)
        }
        return (id, count, offset)
    }

    /// The way down from an inner node, which is in memory afterwards.
    mutating func step(
        _ id: UInt64, level: Int, count: Int, to position: Int, inserting: Bool, _ source: ListSource
    ) throws -> ListBranch.Step {
        func step(_ branch: ListBranch) throws -> ListBranch.Step {
            if branch.level != level { throw source.damage(id, "it is in two places") }
            return branch.step(to: position, of: count, inserting: inserting)
        }
        if let known = try branches[id].map(step) { return known }
        let branch = try source.branch(id, level: level, count: count)
        branches[id] = branch
        unchanged += 1
        return try step(branch)
    }

    /// Sees that an inner node is in memory.
    mutating func load(_ id: UInt64, level: Int, count: Int, _ source: ListSource) throws {
        if let known = branches[id]?.level {
            if known != level { throw source.damage(id, "it is in two places") }
            return
        }
        branches[id] = try source.branch(id, level: level, count: count)
        unchanged += 1
    }

    /// Lets go of unchanged inner nodes if there are many; never while one of them is looked at.
    mutating func makeRoom() {
        if unchanged < Self.mostKept { return }
        branches = branches.filter { $0.value.isChanged }
        unchanged = 0
    }

    /// An inner node, which does not stay in memory for it.
    func branch(_ id: UInt64, level: Int, count: Int?, _ source: ListSource) throws -> ListBranch {
        guard let known = branches[id] else { return try source.branch(id, level: level, count: count) }
        if known.level != level { throw source.damage(id, "it is in two places") }
        return known
    }

    /// The elements of a leaf.
    func leaf(_ id: UInt64, count: Int, _ source: ListSource) throws -> ListLeaf {
        guard let known = leaves[id] else { return try source.leaf(id, count: count) }
        if known.count != count { throw source.damage(id, "it is in two places") }
        return known
    }

    // MARK: Nodes that come and go

    mutating func newNumber() -> UInt64 {
        defer { next += 1 }
        return next
    }

    /// Forgets a node, whose children go somewhere else or are gone.
    mutating func drop(_ id: UInt64) {
        leaves[id] = nil
        branches[id] = nil
        if page?.id == id { page = nil }
        if id < firstNew { removed.insert(id) }
    }

    /// Forgets a node and all below it. Leaves are not read.
    mutating func dropAll(_ id: UInt64, level: Int, count: Int, _ source: ListSource) throws {
        if level > 0 {
            let children = try branch(id, level: level, count: count, source).children
            for child in children { try dropAll(child.id, level: level - 1, count: child.count, source) }
        }
        drop(id)
    }

    /// Removes all elements.
    mutating func removeAll(_ source: ListSource) throws {
        hasChanges = true
        if height > 0 {
            let children = try branch(Self.root, level: height, count: count, source).children
            for child in children { try dropAll(child.id, level: height - 1, count: child.count, source) }
            branches[Self.root] = nil
        }
        page = nil
        leaves[Self.root] = ListLeaf()
        (height, count) = (0, 0)
    }

    // MARK: Writing

    /// Adds the records of changed nodes to a commit.
    func collectWrites(_ oid: OID, _ builder: inout CommitBuilder) throws {
        var nodes: [(id: UInt64, record: [UInt8]?)] =
            removed
            .filter { leaves[$0] == nil && branches[$0] == nil }.map { ($0, nil) }
        for (id, branch) in branches where branch.isChanged {
            nodes.append((id, branch.encode(next: id == Self.root ? next : nil)))
        }
        for (id, leaf) in leaves { nodes.append((id, leaf.encode(next: id == Self.root ? next : nil))) }
        nodes.sort { $0.id < $1.id }
        builder.writes.reserve(nodes.count, bytes: nodes.reduce(0) { $0 + ($1.record?.count ?? 0) + 16 })
        for (id, record) in nodes {
            builder.writes.append(
                RecordWrite(
                    key: RecordKey(oid, try ListSource.key(id)), value: record.map { .state($0) }, base: nil,
                    isBlind: true))
        }
    }
}
