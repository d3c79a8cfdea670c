internal import VirtMem

/// Where the pages of a block are: which page of which block record each of
/// them is. Pages that no part has are zeros.
///
/// A change adds a part with just the changed pages and takes them from the
/// older parts: the newest version of each page wins, and a reader needs nothing
/// but the recipe.
struct BlockRecipe: Equatable, Sendable {
    /// Oldest first. No page is in two of them.
    var parts: [BlockPart] = []

    /// Pages that are stored.
    var pageCount: Int { parts.reduce(0) { $0 + $1.livePages } }
    /// Pages that the records of the parts keep for this block, replaced ones too.
    var keptPages: Int { parts.reduce(0) { $0 + Int($1.storedPages) } }
    /// Runs of pages that can be mapped each with one call.
    var pieceCount: Int { parts.reduce(0) { $0 + $1.runs.count } }
    /// The block records it names.
    var blocks: Set<BlockID> { Set(parts.map(\.block)) }

    /// The pages that are stored, of a block of `pageCount`.
    func pages(of pageCount: Int) -> PageSet {
        var set = PageSet(pageCount: pageCount)
        for part in parts { for run in part.runs { set.insert(contentsOf: run.pages) } }
        return set
    }

    /// The recipe after `patch`.
    ///
    /// - Parameter isExact: whether only the pages count that the patch changed, not those it
    ///   stores besides; so it must be if the recipe is not the one the patch started from.
    func applying(_ patch: BlockPatch, isExact: Bool) -> BlockRecipe {
        let replaced = isExact ? patch.changed : patch.covered
        let kept = parts.compactMap { $0.without(replaced) }
        let added = isExact ? patch.parts.compactMap { $0.limited(to: replaced) } : patch.parts
        return BlockRecipe(parts: kept + added)
    }

    /// The pages that are elsewhere, or no more, in another version of the block.
    func differences(from other: BlockRecipe, pageCount: Int) -> PageSet {
        var set = PageSet(pageCount: pageCount)
        let (mine, theirs) = (places(pageCount), other.places(pageCount))
        for page in 0..<pageCount where mine[page] != theirs[page] { set.insert(page) }
        return set
    }

    private struct Place: Equatable {
        let block: BlockID
        let offset: UInt32
        let slot: UInt32
    }

    private func places(_ pageCount: Int) -> [Place?] {
        var places = [Place?](repeating: nil, count: pageCount)
        for part in parts {
            for run in part.runs {
                for index in 0..<run.count where Int(run.page + index) < pageCount {
                    places[Int(run.page + index)] = Place(
                        block: part.block, offset: part.offset, slot: run.slot + index)
                }
            }
        }
        return places
    }

    // Encoding: numbers; runs as differences.

    func encode(into writer: inout ByteWriter) {
        writer.number(UInt64(parts.count))
        for part in parts {
            writer.byte(part.kind.rawValue)
            writer.byte(part.codec.rawValue)
            writer.number(part.block.rawValue)
            writer.number(UInt64(part.offset))
            writer.number(UInt64(part.storedPages))
            writer.number(UInt64(part.runs.count))
            var (page, slot): (UInt32, UInt32) = (0, 0)
            for run in part.runs {
                writer.number(UInt64(run.page - page))
                writer.number(UInt64(run.count))
                writer.number(UInt64(run.slot - slot))
                (page, slot) = (run.page + run.count, run.slot + run.count)
            }
        }
    }

    init(parts: [BlockPart] = []) { self.parts = parts }

    /// Pages of a block of 1 GiB, in pages of 4 KiB.
    private static let mostPages: UInt64 = 1 << 18

    init(decoding reader: inout ByteReader) throws(ByteReader.Malformed) {
        let count = try reader.count()
        parts.reserveCapacity(count)
        for _ in 0..<count {
            guard let kind = ZBlkKind(rawValue: try reader.byte()),
                let codec = BlockCodec(rawValue: try reader.byte())
            else { throw ByteReader.Malformed() }
            let block = BlockID(rawValue: try reader.number())
            let offset = try reader.number()
            let stored = try reader.number()
            guard offset <= UInt64(UInt32.max), stored <= Self.mostPages else { throw ByteReader.Malformed() }
            var runs: [PageRun] = []
            let runCount = try reader.count()
            runs.reserveCapacity(runCount)
            var (page, slot): (UInt64, UInt64) = (0, 0)
            for _ in 0..<runCount {
                let (gap, length, skipped) = (try reader.number(), try reader.number(), try reader.number())
                guard gap <= Self.mostPages, length <= Self.mostPages, skipped <= Self.mostPages,
                    length > 0, page + gap + length <= Self.mostPages, slot + skipped + length <= stored
                else { throw ByteReader.Malformed() }
                runs.append(
                    PageRun(
                        page: UInt32(page + gap), count: UInt32(length), slot: UInt32(slot + skipped)))
                (page, slot) = (page + gap + length, slot + skipped + length)
            }
            parts.append(
                BlockPart(
                    kind: kind, codec: codec, block: block, offset: UInt32(offset),
                    storedPages: UInt32(stored), runs: runs))
        }
    }
}

/// The pages of a block that one block record has.
struct BlockPart: Equatable, Sendable {
    let kind: ZBlkKind
    var codec = BlockCodec.none
    var block: BlockID
    /// Where this block's payload begins in the record: bytes.
    let offset: UInt32
    /// How many pages the record keeps for this block.
    let storedPages: UInt32
    /// Ascending, in pages and in slots.
    var runs: [PageRun]

    var livePages: Int { runs.reduce(0) { $0 + Int($1.count) } }
    /// Whether its record has the block's first pages, and all of them count.
    var isWhole: Bool { runs == [PageRun(page: 0, count: storedPages, slot: 0)] }

    /// What is left without some pages; nil if that is nothing.
    func without(_ pages: PageSet) -> BlockPart? { limited { !pages.contains($0) } }
    /// What is left of only some pages; nil if that is nothing.
    func limited(to pages: PageSet) -> BlockPart? { limited { pages.contains($0) } }

    private func limited(_ isKept: (Int) -> Bool) -> BlockPart? {
        var kept: [PageRun] = []
        for run in runs {
            var start: UInt32?
            for index in 0...run.count {
                let isIn = index < run.count && isKept(Int(run.page + index))
                if isIn, start == nil { start = index }
                if !isIn, let first = start {
                    kept.append(PageRun(page: run.page + first, count: index - first, slot: run.slot + first))
                    start = nil
                }
            }
        }
        if kept.isEmpty { return nil }
        var part = self
        part.runs = kept
        return part
    }
}

/// Adjacent pages of a block that are adjacent in a record, too.
struct PageRun: Equatable, Sendable {
    /// The first page of the block.
    let page: UInt32
    let count: UInt32
    /// Which page of the part's payload it is.
    let slot: UInt32

    var pages: Range<Int> { Int(page)..<Int(page + count) }
}

/// What a transaction does to a block.
struct BlockPatch: Equatable, Sendable {
    /// What it stores. No page is in two parts; pages that are covered and in no part become zeros.
    var parts: [BlockPart]
    /// The pages it changed.
    var changed: PageSet
    /// The pages it brings, changed or not.
    var covered: PageSet

    /// This patch, then another. Parts of which nothing is left are not in the result.
    func followed(by next: BlockPatch) -> BlockPatch {
        var result = next
        result.parts = parts.compactMap { $0.without(next.covered) } + next.parts
        result.changed.formUnion(changed)
        result.covered.formUnion(covered)
        return result
    }
}
