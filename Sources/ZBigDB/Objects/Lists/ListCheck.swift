/// Checks the nodes of lists: that all are there, once, on their level, with as many elements as their parents say, and that
/// there are no others.
struct ListCheck {
    private let source: ListSource
    private var seen: Set<UInt64> = []

    /// What is wrong with some lists, as far as they are still there.
    static func problems(of lists: [OID], _ snapshot: any StorageSnapshot, _ path: String) -> [VerifyProblem]
    {
        var problems: [VerifyProblem] = []
        for oid in lists {
            var check = ListCheck(source: ListSource(snapshot: snapshot, oid: oid, path: path))
            do {
                if try snapshot.record(RecordKey(oid)) != nil { try check.run() }
            } catch DatabaseError.unreadable(_, _, let reason) {
                problems.append(VerifyProblem(oid: oid, reason))
            } catch {
                problems.append(VerifyProblem(oid: oid, "\(error)"))
            }
        }
        return problems
    }

    private init(source: ListSource) { self.source = source }

    private mutating func run() throws {
        guard let root = try source.root() else {
            return try checkNumber()
        }
        try check(
            ListTree.root, level: root.level, count: root.level == 0 ? root.items : nil, next: root.next ?? 0)
        try checkNumber()
    }

    private mutating func check(_ id: UInt64, level: Int, count: Int?, next: UInt64) throws {
        guard seen.insert(id).inserted else { throw source.damage(id, "it is in two places") }
        if id >= next { throw source.damage(id, "its number was never given out") }
        guard level > 0 else {
            _ = try source.leaf(id, count: count ?? 0)
            return
        }
        for child in try source.branch(id, level: level, count: count).children {
            try check(child.id, level: level - 1, count: child.count, next: next)
        }
    }

    private func checkNumber() throws {
        let stored = try source.snapshot?.entryCount(of: source.oid) ?? 0
        if stored != seen.count {
            throw source.damage(
                ListTree.root, "it leads to \(seen.count) nodes, of which there are \(stored)")
        }
    }
}
