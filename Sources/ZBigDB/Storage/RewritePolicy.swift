internal import VirtMem

/// What a changed block stores: the changed pages, some more to keep the number of its
/// parts small, or all of it.
///
/// Small growth asks for the changed pages only, fast reading for few pieces
/// to map, and a small file for few replaced pages that a record still keeps.
struct RewritePolicy: Sendable {
    /// Whether replaced versions stay, so that every page stored again is growth.
    let keepsHistory: Bool

    /// A block that is changed to this extent is stored as a whole: part of its pages.
    static let wholeShare = 0.75
    /// This many parts of one size class are joined. Each page is stored anew once in each class.
    static let mostOfClass = 8
    /// Where history is kept, large parts are not joined: each page stored again stays for good. From this
    /// size class on, 64 pages.
    static let classKeptWithHistory = 2
    /// A block in more parts has the smallest of them joined: reading looks each of them up.
    static let mostParts = 4 * mostOfClass
    /// The sizes of neighbouring classes differ by this factor.
    static let classFactor = 8
    /// Mapping a piece takes a system call: where there would be more, pages between changed
    /// ones are stored with them. A block of more is put together in memory.
    static let mostPieces = 64
    /// Records may keep this many times the pages that count, and some, before the block is stored as a whole.
    static let mostKept = 1.5
    static let keptSlack = 32

    struct Plan {
        /// Pages to store or, where they are zeros, to note as such.
        let covered: PageSet
        let isWhole: Bool
    }

    /// What to store of a block of `changed.pageCount` pages whose stored content is `recipe`.
    func plan(_ recipe: BlockRecipe, changed: PageSet) -> Plan {
        let all = Plan(covered: .all(pageCount: changed.pageCount), isWhole: true)
        // Nothing to read beside it: its record is whole, and holds what is not zero.
        if recipe.parts.isEmpty { return all }
        let count = changed.count
        if Double(count) >= Self.wholeShare * Double(changed.pageCount) { return all }
        var covered = changed
        for part in tail(recipe, adding: count) {
            for run in part.runs { covered.insert(contentsOf: run.pages) }
        }
        var rest = joinPieces(BlockRecipe(parts: recipe.parts.compactMap { $0.without(covered) }), &covered)
        while rest.parts.count >= Self.mostParts,
            let index = rest.parts.indices.min(by: {
                rest.parts[$0].livePages < rest.parts[$1].livePages
            })
        {
            for run in rest.parts.remove(at: index).runs { covered.insert(contentsOf: run.pages) }
        }
        if Double(covered.count) >= Self.wholeShare * Double(changed.pageCount) { return all }
        if !keepsHistory {
            let live = rest.pageCount + covered.count
            if Double(rest.keptPages + covered.count) > Self.mostKept * Double(live) + Double(Self.keptSlack)
            {
                return all
            }
        }
        return Plan(covered: covered, isWhole: false)
    }

    /// Adds pieces of `rest` to `covered` until there are no more than may be: those first that
    /// cost few pages for each piece less. Returns what is left of `rest`.
    private func joinPieces(_ rest: BlockRecipe, _ covered: inout PageSet) -> BlockRecipe {
        var pieces = rest.parts.flatMap(\.runs).map(\.pages)
        var count = pieces.count + covered.runs.count
        if count <= Self.mostPieces { return rest }
        func gain(_ piece: Range<Int>) -> Int {
            (covered.contains(piece.lowerBound - 1) ? 1 : 0) + (covered.contains(piece.upperBound) ? 1 : 0)
        }
        func cost(_ index: Int) -> Double {
            let gain = gain(pieces[index])
            return gain == 0 ? .infinity : Double(pieces[index].count) / Double(gain)
        }
        while count > Self.mostPieces, let next = pieces.indices.min(by: { cost($0) < cost($1) }),
            cost(next) < .infinity
        {
            let piece = pieces.remove(at: next)
            count -= gain(piece)
            covered.insert(contentsOf: piece)
        }
        return BlockRecipe(parts: rest.parts.compactMap { $0.without(covered) })
    }

    /// The newest parts that are to be joined with a new one of `count` pages.
    private func tail(_ recipe: BlockRecipe, adding count: Int) -> ArraySlice<BlockPart> {
        var joined = recipe.parts[recipe.parts.endIndex...]
        var size = count
        while true {
            let level = Self.sizeClass(size)
            var start = joined.startIndex
            while start > 0, recipe.parts[start - 1].kind == .delta,
                Self.sizeClass(recipe.parts[start - 1].livePages) <= level
            { start -= 1 }
            // With the new one there would be one more than a class may have.
            let isKept = keepsHistory && level >= Self.classKeptWithHistory
            guard !isKept, joined.startIndex - start + 1 >= Self.mostOfClass else { return joined }
            joined = recipe.parts[start...]
            size = joined.reduce(count) { $0 + $1.livePages }
        }
    }

    private static func sizeClass(_ pages: Int) -> Int {
        var (level, limit) = (0, classFactor)
        while pages >= limit { (level, limit) = (level + 1, limit * classFactor) }
        return level
    }
}
