// Lists as any tool can read and change them, without the types of the program that wrote them.

extension Connection {
    /// What is stored of a list.
    func storedList(_ oid: OID) throws -> (tree: ListTree, source: ListSource) {
        let source = ListSource(snapshot: try snapshot, oid: oid, path: path)
        return (try ListTree(source), source)
    }

    func isStoredList(_ oid: OID) throws -> Bool {
        guard let record = try snapshot.record(RecordKey(oid)) else { return false }
        return try decode(record) { try RecordHead(&$0.reader).className == ListObject.className }
    }

    func storedElement(_ key: StoredValue, of oid: OID) throws -> StoredValue? {
        var (tree, source) = try storedList(oid)
        let index = try key.index(below: tree.count)
        guard (0..<tree.count).contains(index),
            case .encoded(let bytes, let start) = try tree.place(of: index, source)
        else { return nil }
        return try decode(bytes, at: start, of: oid) { StoredValue(try $0.reader.value()) }
    }

    func forEachStoredElement(
        of oid: OID, _ body: (_ key: StoredValue, _ value: StoredValue) throws -> Bool
    ) throws {
        let (tree, source) = try storedList(oid)
        var walk = ListWalk(tree, source, 0..<tree.count, reversed: false)
        while let run = try walk.next() {
            for place in run.places {
                let value = try decode(run.items.bytes, at: run.items.start(place), of: oid) {
                    StoredValue(try $0.reader.value())
                }
                guard try body(.integer(Int64(run.position + place - run.places.lowerBound)), value) else {
                    return
                }
            }
        }
    }

    func setStoredElement(_ value: StoredValue?, for key: StoredValue, of list: ListObject) throws {
        let count = try list.count()
        let index = try key.index(below: count)
        guard let bytes = value?.encoded else {
            // Not a range whose end is beyond all numbers.
            _ = try list.place(of: index)
            return try list.remove(index..<(index + 1))
        }
        let item = ListLeaf(bytes: bytes, ends: [bytes.count])
        try index == count ? list.insert([item], at: nil) : list.replace(index, with: item)
    }
}

extension StoredValue {
    /// As an index of a list.
    fileprivate func index(below count: Int) throws -> Int {
        guard case .integer(let value) = self, let index = Int(exactly: value) else {
            throw DatabaseError.wrongClass(what: "the index", expected: "whole number", found: "\(self)")
        }
        return index < 0 ? index + count : index
    }
}
