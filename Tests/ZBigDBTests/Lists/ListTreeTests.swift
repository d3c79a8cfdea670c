import Testing

@testable import ZBigDB

/// The tree by itself, in memory, with elements so large that few of them make it deep.
@Suite("Trees of lists", .timeLimit(.minutes(15)))
struct ListTreeTests {
    private static func item(_ number: Int, _ size: Int) -> ListLeaf {
        var writer = CBORWriter()
        var bytes = [UInt8](repeating: 0, count: size)
        for index in 0..<min(size, 8) { bytes[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
        writer.data(bytes)
        return ListLeaf(bytes: writer.bytes, ends: [writer.bytes.count])
    }

    private static func number(_ items: ListLeaf, _ index: Int) throws -> Int {
        var reader = CBORReader(items.bytes)
        reader.position = items.start(index)
        return try reader.data().prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    }

    /// The elements in order; checks counts, levels and sizes on the way.
    private static func elements(_ tree: ListTree) throws -> [Int] {
        var found: [Int] = []
        var nodes: Set<UInt64> = []
        func walk(_ id: UInt64, _ level: Int, _ count: Int) throws {
            #expect(nodes.insert(id).inserted && id < tree.next)
            guard level > 0 else {
                let leaf = try #require(tree.leaves[id])
                #expect(leaf.count == count && leaf.fits(afterReplacing: true))
                for index in 0..<leaf.count { found.append(try number(leaf, index)) }
                return
            }
            let branch = try #require(tree.branches[id])
            #expect(branch.level == level && branch.count == count)
            #expect((1...ListBranch.mostChildren).contains(branch.children.count))
            for child in branch.children { try walk(child.id, level - 1, child.count) }
        }
        try walk(ListTree.root, tree.height, tree.count)
        #expect(nodes.count == tree.leaves.count + tree.branches.count, "nodes that nothing leads to")
        return found
    }

    @Test("it grows to four levels at either end and in between, shrinks again, and stays in order")
    func deep() throws {
        var random = ArrayRandom("ListTreeTests.deep")
        for way in 0..<3 {
            var tree = ListTree()
            var model: [Int] = []
            for number in 0..<18_000 {
                let place =
                    way == 0 ? model.count : way == 1 ? 0 : Int.random(in: 0...model.count, using: &random)
                try tree.insert(Self.item(number, 990), at: place, .none)
                model.insert(number, at: place)
            }
            #expect(tree.height == 3)
            #expect(try Self.elements(tree) == model)
            // Filled in order, leaves and inner nodes are full.
            if way < 2 { #expect(tree.leaves.count == 18_000 && tree.branches.count <= 18_000 / 128 + 6) }
            // One by one at random places, then in ranges.
            for _ in 0..<15_500 {
                let place = Int.random(in: 0..<model.count, using: &random)
                try tree.remove(place..<(place + 1), .none)
                model.remove(at: place)
            }
            #expect(try Self.elements(tree) == model)
            // Inner nodes with few children were joined.
            #expect(tree.branches.count <= 2500 / ListBranch.fewestChildren + 6)
            while model.count > 200 {
                let length = min(model.count, Int.random(in: 1...1500, using: &random))
                let start = Int.random(in: 0...(model.count - length), using: &random)
                try tree.remove(start..<(start + length), .none)
                model.removeSubrange(start..<(start + length))
                let added = (0..<20).map { Self.item($0, 10) }
                for (index, item) in added.enumerated() { try tree.insert(item, at: start + index, .none) }
                model.insert(contentsOf: 0..<20, at: start)
                #expect(try Self.elements(tree) == model)
            }
            while !model.isEmpty {
                try tree.remove(0..<1, .none)
                model.removeFirst()
                if model.count % 40 == 0 { #expect(try Self.elements(tree) == model) }
            }
            #expect(tree.height == 0 && tree.count == 0)
        }
    }

    @Test("leaves with few elements are joined, whichever go")
    func joining() throws {
        var random = ArrayRandom("ListTreeTests.joining")
        for way in 0..<3 {
            var tree = ListTree()
            for number in 0..<20_000 { try tree.insert(Self.item(number, 10), at: number, .none) }
            let full = tree.leaves.count
            var model = Array(0..<20_000)
            while model.count > 1000 {
                // From the middle, at random, or some in a row.
                let place = way == 0 ? model.count / 2 : Int.random(in: 0..<model.count, using: &random)
                let end = way == 2 ? min(model.count, place + 30) : place + 1
                try tree.remove(place..<end, .none)
                model.removeSubrange(place..<end)
            }
            #expect(try Self.elements(tree) == model)
            #expect(full > 150 && tree.leaves.count < 45)
        }
    }

    @Test("many elements at once, and elements that become larger and smaller")
    func sizes() throws {
        var random = ArrayRandom("ListTreeTests.sizes")
        var tree = ListTree()
        var model: [Int] = []
        for round in 0..<150 {
            let place = Int.random(in: 0...model.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                var items = ListLeaf()
                let numbers = (0..<Int.random(in: 1...400, using: &random)).map { 1000 * round + $0 }
                for number in numbers {
                    items.append(
                        Self.item(number, random.chance(10) ? 3000 : Int.random(in: 8...60, using: &random)))
                }
                try tree.insert(items, at: place, .none)
                model.insert(contentsOf: numbers, at: place)
            case 1 where place < model.count:
                let size = random.chance(20) ? Int.random(in: 8...5000, using: &random) : 8
                try tree.replace(place, with: Self.item(round, size), .none)
                model[place] = round
            case 2 where place < model.count:
                let end = min(model.count, place + Int.random(in: 1...150, using: &random))
                try tree.remove(place..<end, .none)
                model.removeSubrange(place..<end)
            case 3 where place < model.count:
                let item = try tree.item(place, .none)
                #expect(try Self.number(item, 0) == model[place])
                guard case .encoded(let bytes, let start) = try tree.place(of: place, .none) else { continue }
                #expect(bytes[start...].starts(with: item.bytes))
            default: break
            }
            // A copy is a value of its own.
            let copy = tree
            if !model.isEmpty { try tree.remove(0..<1, .none) }
            #expect(try Self.elements(copy) == model)
            tree = copy
        }
    }

    @Test("elements in pieces fit, keep their order, and leave none out")
    func division() throws {
        var random = ArrayRandom("ListTreeTests.division")
        for _ in 0..<300 {
            var items = ListLeaf()
            let count = Int.random(in: 2...500, using: &random)
            let most = [10, 100, 1000, 4000].randomElement(using: &random) ?? 10
            for number in 0..<count {
                items.append(Self.item(number, Int.random(in: 8...max(8, most), using: &random)))
            }
            if items.fits() { continue }
            for division in [ListLeaf.Division.first, .last, .even] {
                let pieces = items.divided(division)
                #expect(
                    pieces.count > 1 && pieces.allSatisfy { !$0.isEmpty && $0.fits(afterReplacing: true) })
                #expect(pieces.flatMap(\.bytes) == items.bytes)
                #expect(pieces.reduce(0) { $0 + $1.count } == count)
                // Those that are filled in order could not take the next.
                guard division == .last else { continue }
                for (piece, next) in zip(pieces, pieces.dropFirst()) {
                    var both = piece
                    both.append(next[0..<1])
                    #expect(piece.fits() && !both.fits())
                }
            }
        }
    }
}
