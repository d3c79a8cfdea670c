/// An inner node of a list: its children and how many elements are below each of them.
struct ListBranch {
    /// A node and the number of elements below it.
    struct Child {
        var id: UInt64
        var count: Int
    }

    /// More children than this are divided.
    static let mostChildren = 128
    /// With fewer, a branch shares with a neighbour.
    static let fewestChildren = 32

    /// How many nodes are on the way down to an element.
    let level: Int
    var children: [Child]
    /// Whether it differs from what is stored.
    var isChanged = false

    var count: Int { children.reduce(0) { $0 + $1.count } }

    /// A step on the way down.
    struct Step {
        let index: Int
        let child: Child
        /// The place from the child's first element on.
        let offset: Int
        let isLast: Bool
    }

    /// The way to an element, or to a place to insert one: behind an element rather than before the next.
    ///
    /// - Parameter count: how many elements are below this node.
    func step(to position: Int, of count: Int, inserting: Bool) -> Step {
        // Whatever the counts are, it is one of the children.
        let last = children.count - 1
        var (index, offset) = (0, position)
        if inserting, position == count {
            (index, offset) = (last, children[last].count)
        } else {
            while index < last, offset >= children[index].count + (inserting ? 1 : 0) {
                offset -= children[index].count
                index += 1
            }
        }
        return Step(index: index, child: children[index], offset: offset, isLast: index == last)
    }

    /// The children in groups of at most as many as a branch may have.
    static func divided(_ children: [Child], _ division: ListLeaf.Division) -> [[Child]] {
        let excess = children.count - mostChildren
        if excess <= 0 { return [children] }
        var cuts = [0]
        switch division {
        case .last: cuts += stride(from: mostChildren, to: children.count, by: mostChildren)
        case .first: cuts += stride(from: children.count % mostChildren, to: children.count, by: mostChildren)
        case .even:
            let pieces = (children.count + mostChildren - 1) / mostChildren
            cuts += (1..<pieces).map { $0 * children.count / pieces }
        }
        return zip(cuts, cuts.dropFirst() + [children.count]).filter { $0 < $1 }.map {
            Array(children[$0..<$1])
        }
    }
}

/// How the record of a node begins (FORMAT.md).
struct ListNodeHead {
    /// 0: a leaf.
    let level: Int
    /// The number of the next new node; only the root has it.
    let next: UInt64?
    /// The number of items that follow: elements, or two for each child.
    let items: Int

    /// Deeper lists than any that fits into a database are damage.
    private static let deepest = 32

    init(_ reader: inout CBORReader, isRoot: Bool) throws(CBORReader.Malformed) {
        guard try reader.array() == (isRoot ? 3 : 2) else {
            throw CBORReader.Malformed(description: "it has another number of parts than such a node")
        }
        level = try reader.integer()
        next = isRoot ? try reader.unsigned() : nil
        items = try reader.array()
        guard level >= 0, level <= Self.deepest else {
            throw CBORReader.Malformed(description: "its level is \(level)")
        }
        // Far from the end of all numbers.
        guard next ?? 1 > 0, next ?? 1 < 1 << 62 else {
            throw CBORReader.Malformed(description: "the number of the next node is impossible")
        }
    }

    static func encode(level: Int, next: UInt64?, items: Int) -> CBORWriter {
        var writer = CBORWriter()
        writer.array(next == nil ? 2 : 3)
        writer.integer(level)
        if let next { writer.unsigned(next) }
        writer.array(items)
        return writer
    }
}

extension ListBranch {
    /// Reads the children behind the head of a node.
    init(_ head: ListNodeHead, from reader: inout CBORReader) throws(CBORReader.Malformed) {
        guard head.level > 0, head.items > 0, head.items % 2 == 0 else {
            throw CBORReader.Malformed(description: "it is no inner node")
        }
        level = head.level
        children = []
        children.reserveCapacity(head.items / 2)
        var total = 0
        for _ in 0..<(head.items / 2) {
            let child = Child(id: try reader.unsigned(), count: try reader.integer())
            let (sum, overflow) = total.addingReportingOverflow(child.count)
            guard child.count > 0, child.id != ListTree.root, !overflow else {
                throw CBORReader.Malformed(description: "it has an impossible child")
            }
            total = sum
            children.append(child)
        }
        guard reader.isAtEnd else { throw CBORReader.Malformed(description: "bytes are left over") }
    }

    func encode(next: UInt64?) -> [UInt8] {
        var writer = ListNodeHead.encode(level: level, next: next, items: 2 * children.count)
        for child in children {
            writer.unsigned(child.id)
            writer.integer(child.count)
        }
        return writer.bytes
    }
}

extension ListLeaf {
    func encode(next: UInt64?) -> [UInt8] {
        var writer = ListNodeHead.encode(level: 0, next: next, items: count)
        writer.raw(bytes)
        return writer.bytes
    }
}
