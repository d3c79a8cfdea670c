import Testing

@testable import ZBigDB

@Suite("Damaged lists")
struct ListDamageTests {
    private let temporary: TemporaryDatabase
    private let connection: Connection
    private let list = PersistentList<Int>()
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase()
        connection = try temporary.database.connect()
        try connection.root.set("list", list)
        try connection.commit()
        try list.append(contentsOf: 0..<30_000)
        try connection.commit()
    }

    /// Puts something in the place of a node; nil removes it.
    private func damage(_ id: UInt64, _ node: CBORValue?) throws {
        let oid = try #require(list.object.oid)
        let vandal = RawRecord()
        try connection.add(vandal)
        vandal.records = { _ in
            let value = node.map { node -> RecordValue in
                var writer = CBORWriter()
                node.encode(into: &writer)
                return .state(writer.bytes)
            }
            return [
                RecordWrite(
                    key: RecordKey(oid, try ListSource.key(id)), value: value, base: nil, isBlind: true)
            ]
        }
        try connection.commit()
    }

    private func node(_ id: UInt64) throws -> CBORValue {
        let oid = try #require(list.object.oid)
        let record = try #require(try connection.snapshot.record(RecordKey(oid, try ListSource.key(id))))
        guard case .state(let bytes) = record.value else { throw CBORReader.Malformed.endsEarly }
        return try CBORValue(decoding: bytes)
    }

    /// The numbers of a node's children, with their counts.
    private func children(_ id: UInt64) throws -> [UInt64] {
        guard case .array(let parts) = try node(id), case .array(let items) = try #require(parts.last) else {
            return []
        }
        return items.compactMap { if case .unsigned(let number) = $0 { number } else { nil } }
    }

    /// Everything throws or works, nothing crashes or goes on for ever, and a check finds it.
    private func expectDamage(_ what: String, _ sourceLocation: SourceLocation = #_sourceLocation) throws {
        let oid = try #require(list.object.oid)
        var errors: [DatabaseError] = []
        func attempt(_ body: () throws -> Void) throws {
            do { try body() } catch let error as DatabaseError { errors.append(error) }
            try connection.abort()
        }
        try attempt { try list.forEach { _, _ in } }
        try attempt { try list.forEach(reversed: true) { _, _ in } }
        try attempt { for index in stride(from: 0, to: try list.count, by: 400) { _ = try list[index] } }
        try attempt {
            for index in stride(from: 0, to: try list.count, by: 400) { try list.update(0, at: index) }
        }
        try attempt {
            for index in stride(from: 0, to: try list.count, by: 400) { try list.insert(0, at: index) }
        }
        try attempt { while try list.count > 100 { try list.removeSubrange(50..<100) } }
        try attempt { while try list.popLast() != nil {} }
        try attempt { try list.removeAll() }
        #expect(!errors.isEmpty, "\(what)", sourceLocation: sourceLocation)
        for case .unreadable(_, let found, let reason) in errors {
            #expect(found == oid && reason.contains("of the list"), sourceLocation: sourceLocation)
        }
        let problems = try database.verify().problems
        #expect(problems.contains { $0.oid == oid }, "\(what)", sourceLocation: sourceLocation)
    }

    @Test(
        "nodes that are missing, of another kind, or have other numbers of elements are errors that name the list"
    )
    func nodes() throws {
        #expect(try database.verify().problems == [])
        let root = try node(0)
        let tops = try children(0)
        let branch = tops[0]
        let leaves = try children(branch)
        let leaf = try node(leaves[2])
        guard case .array(let rootParts) = root else { return }
        func rooted(_ level: UInt64, _ items: [UInt64]) -> CBORValue {
            .array([.unsigned(level), rootParts[1], .array(items.map { .unsigned($0) })])
        }
        let cases: [(String, UInt64, CBORValue?)] = [
            ("a missing leaf", leaves[2], nil),
            ("a missing branch", branch, nil),
            ("no CBOR that a node has", leaves[2], .text("x")),
            ("an empty record", leaves[2], .array([])),
            ("fewer elements", leaves[2], .array([.unsigned(0), .array([.unsigned(1)])])),
            ("a leaf where a branch is expected", branch, leaf),
            ("a branch where a leaf is expected", leaves[2], try node(branch)),
            ("a wrong count", 0, rooted(2, [tops[0], tops[1] + 1] + tops[2...])),
            ("a child that is there twice", 0, rooted(2, [tops[0], tops[1], tops[0], tops[1]])),
            ("the root as a child", 0, rooted(2, [0, 30_000])),
            ("no children", 0, rooted(2, [])),
            ("half a child", 0, rooted(2, [branch])),
            ("a count of zero", 0, rooted(2, [branch, 0])),
            ("counts beyond all numbers", 0, rooted(2, [branch, UInt64(Int.max), tops[2], UInt64(Int.max)])),
            ("a count that is too large", 0, rooted(2, [branch, 1 << 40])),
            ("a higher level", 0, rooted(3, tops)),
            (
                "a next number behind all", 0,
                .array([.unsigned(2), .unsigned(.max), .array(tops.map { .unsigned($0) })])
            ),
            ("an impossible level", 0, rooted(1 << 40, tops)),
            ("a leaf with an open end", leaves[2], .array([.unsigned(0), .array([.tagged(39, .null)])])),
        ]
        for (what, id, value) in cases {
            let before = try node(id)
            try damage(id, value)
            try expectDamage(what)
            try damage(id, before)
            #expect(try database.verify().problems.filter { $0.oid == list.object.oid } == [], "\(what)")
        }
        #expect(try list.page(limit: .max) == Array(0..<30_000))
        // A node that nothing leads to.
        try damage(1 << 30, leaf)
        #expect(try database.verify().problems.contains { $0.description.contains("leads to") })
    }

    @Test("after a change that could not be finished nothing is committed, and an abort helps")
    func unfinished() throws {
        let leaves = try children(try children(0)[0])
        let before = try node(leaves[2])
        try damage(leaves[2], nil)
        let whole = try list.count
        try list.append(1)
        // The leaf before is emptied but for its first elements, and wants to share with the missing one.
        let first = Int(leaves[1])
        #expect(throws: DatabaseError.self) { try list.removeSubrange(0..<(first + 200)) }
        #expect(throws: DatabaseError.self) { try list.count }
        #expect(throws: DatabaseError.self) { try list.append(2) }
        #expect(throws: DatabaseError.self) { try connection.commit() }
        try connection.abort()
        #expect(try list.count == whole)
        try damage(leaves[2], before)
        #expect(try list.page(limit: .max) == Array(0..<30_000))
    }
}
