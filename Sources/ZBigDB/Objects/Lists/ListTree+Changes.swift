// Changing a list: down to one leaf, and up again with what became of the nodes on the way.

extension ListTree {
    /// What is done to the elements of one leaf.
    struct Edit {
        /// Where, from the first element of the node on that is looked at.
        var position: Int
        /// How many elements go; fewer if the leaf ends before.
        var removing = 0
        /// What comes in their place.
        var items = ListLeaf()
        /// Whether the node is at the list's beginning or end.
        var isFirst = true
        var isLast = true
        /// How nodes are divided that become too large.
        var division = ListLeaf.Division.even
        /// How many elements went.
        var removed = 0

        var isReplacing: Bool { removing > 0 && !items.isEmpty }
        /// How many elements the node has more.
        var growth: Int { items.count - removed }
    }

    /// What became of a node.
    private enum Outcome {
        /// It has so many elements.
        case same(Int)
        /// The same, so few that it should share with a neighbour.
        case sparse(Int)
        /// Others take its place, the first of them under its number; none if it is empty.
        case divided([ListBranch.Child])
    }

    /// Inserts elements before the one at `position`, or at the end.
    mutating func insert(_ items: ListLeaf, at position: Int, _ source: ListSource) throws {
        try edit(Edit(position: position, items: items), source)
    }

    /// Replaces an element.
    mutating func replace(_ position: Int, with item: ListLeaf, _ source: ListSource) throws {
        try edit(Edit(position: position, removing: 1, items: item), source)
    }

    /// Removes elements.
    mutating func remove(_ range: Range<Int>, _ source: ListSource) throws {
        if range == 0..<count { return try removeAll(source) }
        var left = range.count
        while left > 0 { left -= try edit(Edit(position: range.lowerBound, removing: left), source) }
    }

    /// The encoded or kept element at a position.
    func item(_ position: Int, _ source: ListSource) throws -> ListLeaf {
        var (id, count, offset) = (Self.root, self.count, position)
        for level in stride(from: height, to: 0, by: -1) {
            let branch = try branch(id, level: level, count: count, source)
            let step = branch.step(to: offset, of: count, inserting: false)
            (id, count, offset) = (step.child.id, step.child.count, step.offset)
        }
        guard offset < count else { throw source.damage(id, "it is in two places") }
        return try leaf(id, count: count, source)[offset..<(offset + 1)]
    }

    /// Returns how many elements were removed: those of one leaf, or of one branch as a whole.
    @discardableResult
    private mutating func edit(_ edit: Edit, _ source: ListSource) throws -> Int {
        var edit = edit
        hasChanges = true
        makeRoom()
        let before = next
        let outcome = try change(Self.root, level: height, count: count, &edit, source)
        if case .divided(let nodes) = outcome { replaceRoot(with: nodes) }
        grow(by: edit.growth)
        try lowerRoot(source)
        if next != before, height > 0 {
            // The root knows the next number, also if nothing else of it is new.
            try load(Self.root, level: height, count: count, source)
            change(Self.root) { _ in }
        }
        return edit.removed
    }

    private mutating func change(
        _ id: UInt64, level: Int, count: Int, _ edit: inout Edit, _ source: ListSource
    ) throws -> Outcome {
        level == 0
            ? try changeLeaf(id, count: count, &edit, source)
            : try changeBranch(id, level: level, count: count, &edit, source)
    }

    // MARK: Leaves

    private mutating func changeLeaf(_ id: UInt64, count: Int, _ edit: inout Edit, _ source: ListSource)
        throws -> Outcome
    {
        let known = leaves[id]?.count
        if known == nil { leaves[id] = try source.leaf(id, count: count) }
        // Where elements are removed there is one, or it would go on for ever.
        guard known ?? count == count, edit.position < count + (edit.removing == 0 ? 1 : 0) else {
            throw source.damage(id, "it is in two places")
        }
        edit.removed = min(edit.removing, count - edit.position)
        if edit.isLast, edit.position == count {
            edit.division = .last
        } else if edit.isFirst, edit.position == 0, edit.removing == 0 {
            edit.division = .first
        }
        let size = leaves[id, default: ListLeaf()].change(edit)
        if !size.fits, let leaf = leaves[id] { return .divided(divide(leaf, id, edit.division)) }
        if count + edit.growth == 0, id != Self.root {
            drop(id)
            return .divided([])
        }
        return size.isSparse && edit.growth < 0 ? .sparse(count + edit.growth) : .same(count + edit.growth)
    }

    /// Makes leaves of elements that are too many for one; the first keeps the number.
    private mutating func divide(_ leaf: ListLeaf, _ id: UInt64, _ division: ListLeaf.Division)
        -> [ListBranch.Child]
    {
        leaf.divided(division).enumerated().map { index, items in
            let id = index == 0 ? id : newNumber()
            leaves[id] = items
            return ListBranch.Child(id: id, count: items.count)
        }
    }

    // MARK: Inner nodes

    private mutating func changeBranch(
        _ id: UInt64, level: Int, count: Int, _ edit: inout Edit, _ source: ListSource
    ) throws -> Outcome {
        let step = try step(
            id, level: level, count: count, to: edit.position, inserting: edit.removing == 0, source)
        let (index, child) = (step.index, step.child)
        edit.position = step.offset
        edit.isFirst = edit.isFirst && index == 0
        edit.isLast = edit.isLast && step.isLast
        let outcome: Outcome
        if edit.items.isEmpty, edit.position == 0, edit.removing >= child.count {
            try dropAll(child.id, level: level - 1, count: child.count, source)
            edit.removed = child.count
            outcome = .divided([])
        } else {
            outcome = try change(child.id, level: level - 1, count: child.count, &edit, source)
        }
        let count = count + edit.growth
        switch outcome {
        case .same(let below):
            // Replacing an element is nothing to the nodes above.
            if edit.isReplacing { return .same(count) }
            change(id) { $0[index].count = below }
            return .same(count)
        case .sparse(let below):
            change(id) { $0[index].count = below }
            try share(id, level: level, index, source)
        case .divided(let nodes): change(id) { $0.replaceSubrange(index...index, with: nodes) }
        }
        return finish(id, level: level, count: count, edit)
    }

    /// Looks at an inner node whose children changed.
    private mutating func finish(_ id: UInt64, level: Int, count: Int, _ edit: Edit) -> Outcome {
        let children = branches[id]?.children ?? []
        if children.isEmpty {
            if id != Self.root { drop(id) }
            return .divided([])
        }
        if children.count > ListBranch.mostChildren {
            return .divided(divide(children, id, level: level, edit.division))
        }
        return children.count < ListBranch.fewestChildren && edit.growth < 0 ? .sparse(count) : .same(count)
    }

    private mutating func change(_ id: UInt64, _ body: (inout [ListBranch.Child]) -> Void) {
        guard let place = branches.index(forKey: id) else { return }
        body(&branches.values[place].children)
        branches.values[place].isChanged = true
    }

    private mutating func divide(
        _ children: [ListBranch.Child], _ id: UInt64, level: Int, _ division: ListLeaf.Division
    ) -> [ListBranch.Child] {
        ListBranch.divided(children, division).enumerated().map { index, children in
            let id = index == 0 ? id : newNumber()
            let branch = ListBranch(level: level, children: children, isChanged: true)
            branches[id] = branch
            return ListBranch.Child(id: id, count: branch.count)
        }
    }

    // MARK: Few elements

    /// Brings a node that has little together with a neighbour below the same parent: into one, or so that both have
    /// about the same.
    private mutating func share(_ parent: UInt64, level: Int, _ index: Int, _ source: ListSource) throws {
        guard let children = branches[parent]?.children, children.count > 1 else { return }
        let other =
            index == 0
            ? 1
            : index == children.count - 1 || children[index - 1].count <= children[index + 1].count
                ? index - 1 : index + 1
        let (left, right) = (children[min(index, other)], children[max(index, other)])
        let nodes: [ListBranch.Child]
        if level == 1 {
            var items = try leaf(left.id, count: left.count, source)
            items.append(try leaf(right.id, count: right.count, source))
            let isOne = items.fits()
            drop(right.id)
            nodes = isOne ? keep(items, left.id) : divide(items, left.id, .even)
        } else {
            try load(left.id, level: level - 1, count: left.count, source)
            let leftChildren = branches[left.id]?.children ?? []
            let rightChildren = try branch(right.id, level: level - 1, count: right.count, source).children
            drop(right.id)
            nodes = divide(leftChildren + rightChildren, left.id, level: level - 1, .even)
        }
        change(parent) { $0.replaceSubrange(min(index, other)...max(index, other), with: nodes) }
    }

    private mutating func keep(_ items: ListLeaf, _ id: UInt64) -> [ListBranch.Child] {
        leaves[id] = items
        return [ListBranch.Child(id: id, count: items.count)]
    }

    // MARK: The root

    /// Puts nodes below the root, the first of which has its number; none: the list is empty.
    private mutating func replaceRoot(with nodes: [ListBranch.Child]) {
        guard let first = nodes.first else {
            branches[Self.root] = nil
            leaves[Self.root] = ListLeaf()
            height = 0
            return
        }
        var nodes = nodes
        nodes[0] = ListBranch.Child(id: newNumber(), count: first.count)
        if height == 0 {
            leaves[nodes[0].id] = leaves.removeValue(forKey: Self.root)
        } else {
            branches[nodes[0].id] = branches.removeValue(forKey: Self.root)
        }
        height += 1
        while nodes.count > ListBranch.mostChildren {
            nodes = divide(nodes, newNumber(), level: height, .last)
            height += 1
        }
        branches[Self.root] = ListBranch(level: height, children: nodes, isChanged: true)
    }

    /// A root with one child takes what the child has.
    private mutating func lowerRoot(_ source: ListSource) throws {
        while height > 0, let children = branches[Self.root]?.children, children.count == 1 {
            let child = children[0]
            height -= 1
            if height == 0 {
                leaves[Self.root] = try leaf(child.id, count: child.count, source)
                branches[Self.root] = nil
            } else {
                var branch = try branch(child.id, level: height, count: child.count, source)
                branch.isChanged = true
                branches[Self.root] = branch
            }
            drop(child.id)
        }
    }
}

extension ListLeaf {
    /// Changes elements where they are, without copying the others; tells what that makes of the leaf.
    fileprivate mutating func change(_ edit: ListTree.Edit) -> (fits: Bool, isSparse: Bool) {
        replace(edit.position..<(edit.position + edit.removed), with: edit.items)
        return (fits(afterReplacing: edit.isReplacing), isSparse)
    }
}
