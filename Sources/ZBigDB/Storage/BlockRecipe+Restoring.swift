internal import VirtMem

extension BlockRecipe {
    /// This recipe with `pages` where an older one had them.
    func restoring(_ pages: PageSet, from older: BlockRecipe) -> BlockRecipe {
        var parts = self.parts.compactMap { $0.without(pages) }
        for part in older.parts.compactMap({ $0.limited(to: pages) }) {
            // A record is named once, whether all of its pages were replaced or some.
            if let index = parts.firstIndex(where: { $0.block == part.block && $0.offset == part.offset }) {
                parts[index].runs = Self.joined(parts[index].runs + part.runs)
            } else {
                parts.append(part)
            }
        }
        return BlockRecipe(parts: parts)
    }

    private static func joined(_ runs: [PageRun]) -> [PageRun] {
        runs.sorted { $0.page < $1.page }.reduce(into: []) { joined, run in
            if let last = joined.last, last.page + last.count == run.page, last.slot + last.count == run.slot
            {
                joined[joined.count - 1] = PageRun(
                    page: last.page, count: last.count + run.count, slot: last.slot)
            } else {
                joined.append(run)
            }
        }
    }

    /// The first page behind all that are stored.
    var endPage: Int { parts.reduce(0) { max($0, $1.runs.last?.pages.upperBound ?? 0) } }
}
