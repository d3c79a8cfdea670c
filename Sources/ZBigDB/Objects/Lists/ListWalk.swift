/// Goes through the elements of a list, a leaf at a time. It sees the list as it was at the start, whatever is changed or
/// committed meanwhile.
struct ListWalk {
    /// Elements that come next.
    struct Run {
        let items: ListLeaf
        /// Which of them, in the order of the list also when the walk goes backwards.
        let places: Range<Int>
        /// The position in the list of the first of them.
        let position: Int

        /// One of them.
        func only(_ place: Int) -> Run {
            Run(
                items: items, places: place..<(place + 1), position: position + place - places.lowerBound)
        }
    }

    private let tree: ListTree
    private let source: ListSource
    private var range: Range<Int>
    let isReversed: Bool
    /// The inner nodes above the leaf that comes next, from the root down, with the positions they begin at.
    private var path: [(branch: ListBranch, start: Int)] = []

    init(_ tree: ListTree, _ source: ListSource, _ range: Range<Int>, reversed: Bool) {
        self.tree = tree
        self.source = source
        self.range = range
        isReversed = reversed
    }

    /// Leaves out what comes behind the next `limit` elements.
    mutating func shorten(to limit: Int) {
        guard limit < range.count else { return }
        range =
            isReversed
            ? (range.upperBound - max(0, limit))..<range.upperBound
            : range.lowerBound..<(range.lowerBound + max(0, limit))
    }

    /// The part of the range that is in one leaf; nil at the end.
    mutating func next() throws -> Run? {
        if range.isEmpty { return nil }
        let (leaf, start, count) = try descend(to: isReversed ? range.upperBound - 1 : range.lowerBound)
        let run = range.clamped(to: start..<(start + count))
        let items = try tree.leaf(leaf, count: count, source)
        range = isReversed ? range.lowerBound..<run.lowerBound : run.upperBound..<range.upperBound
        return Run(
            items: items, places: (run.lowerBound - start)..<(run.upperBound - start),
            position: run.lowerBound)
    }

    /// The leaf with a position. Inner nodes that lead there already are not read again.
    private mutating func descend(to position: Int) throws -> (leaf: UInt64, start: Int, count: Int) {
        while let last = path.last, !(last.start..<(last.start + last.branch.count)).contains(position) {
            path.removeLast()
        }
        var (id, start, count, level) = (ListTree.root, 0, tree.count, tree.height)
        if let last = path.last {
            (id, start, count) = Self.child(last, position)
            level = last.branch.level - 1
        }
        while level > 0 {
            let branch = try tree.branch(id, level: level, count: count, source)
            path.append((branch, start))
            (id, start, count) = Self.child((branch, start), position)
            level -= 1
        }
        guard (start..<(start + count)).contains(position) else {
            throw source.damage(id, "it is in two places")
        }
        return (id, start, count)
    }

    private static func child(_ node: (branch: ListBranch, start: Int), _ position: Int) -> (UInt64, Int, Int)
    {
        let step = node.branch.step(to: position - node.start, of: .max, inserting: false)
        return (step.child.id, position - step.offset, step.child.count)
    }
}
