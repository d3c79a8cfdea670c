/// Where the stored nodes of a list are read.
struct ListSource {
    /// Nil: nothing of the list is stored.
    let snapshot: (any StorageSnapshot)?
    let oid: OID
    let path: String

    /// Of a list that is in no database yet.
    static let none = ListSource(snapshot: nil, oid: .root, path: "")

    /// The key of a node's record.
    static func key(_ id: UInt64) throws -> [UInt8] { try KeyEncoder.subkey(id) }

    /// The record of a node; nil if there is none.
    func record(_ id: UInt64) throws -> [UInt8]? {
        guard let record = try snapshot?.record(RecordKey(oid, try Self.key(id))) else { return nil }
        guard case .state(let bytes) = record.value else { throw damage(id, "it is no value") }
        return bytes
    }

    func damage(_ id: UInt64, _ reason: String) -> DatabaseError {
        .unreadable(path: path, oid: oid, reason: "node \(id) of the list: \(reason)")
    }

    /// Reads a node that must be there, with `count` elements on `level`.
    private func read<R>(
        _ id: UInt64, level: Int, _ body: (ListNodeHead, inout CBORReader) throws(CBORReader.Malformed) -> R
    ) throws -> R {
        guard let bytes = try record(id) else { throw damage(id, "it is missing") }
        var reader = CBORReader(bytes)
        do throws(CBORReader.Malformed) {
            let head = try ListNodeHead(&reader, isRoot: id == ListTree.root)
            guard head.level == level else {
                throw CBORReader.Malformed(description: "its level is \(head.level) instead of \(level)")
            }
            return try body(head, &reader)
        } catch {
            throw damage(id, error.description)
        }
    }

    /// The head of the root; nil if there is none.
    func root() throws -> ListNodeHead? {
        guard let bytes = try record(ListTree.root) else { return nil }
        var reader = CBORReader(bytes)
        do { return try ListNodeHead(&reader, isRoot: true) } catch {
            throw damage(ListTree.root, error.description)
        }
    }

    func branch(_ id: UInt64, level: Int, count: Int?) throws -> ListBranch {
        let branch = try read(id, level: level) { head, reader throws(CBORReader.Malformed) in
            try ListBranch(head, from: &reader)
        }
        if let count, branch.count != count {
            throw damage(id, "it has \(branch.count) elements below it instead of \(count)")
        }
        return branch
    }

    /// A leaf's elements with their places.
    func leaf(_ id: UInt64, count: Int) throws -> ListLeaf {
        try read(id, level: 0) { head, reader throws(CBORReader.Malformed) in
            try Self.check(head, count)
            return try ListLeaf(head.items, from: &reader)
        }
    }

    /// A leaf's elements, looked at one after the other.
    func page(_ id: UInt64, count: Int) throws -> ListPage {
        try read(id, level: 0) { head, reader throws(CBORReader.Malformed) in
            try Self.check(head, count)
            return ListPage(id: id, reader: reader)
        }
    }

    private static func check(_ head: ListNodeHead, _ count: Int) throws(CBORReader.Malformed) {
        guard head.items == count else {
            throw CBORReader.Malformed(description: "it has \(head.items) elements instead of \(count)")
        }
    }
}

/// A stored leaf: a reader that stands at one of its elements.
struct ListPage {
    let id: UInt64
    private var reader: CBORReader
    private let start: Int
    private var index = 0

    init(id: UInt64, reader: CBORReader) {
        self.id = id
        self.reader = reader
        start = reader.position
    }

    var bytes: [UInt8] { reader.bytes }

    /// Where an element begins.
    mutating func place(_ index: Int) throws(CBORReader.Malformed) -> Int {
        if index < self.index { (self.index, reader.position) = (0, start) }
        while self.index < index {
            try reader.pass()
            self.index += 1
        }
        return reader.position
    }
}
