/// A set of pages of one block, as a bitmap.
public struct PageSet: Sendable, Equatable, CustomStringConvertible {
    /// How many pages the block has.
    public let pageCount: Int
    private var words: [UInt64]

    /// The empty set over `pageCount` pages.
    public init(pageCount: Int) {
        self.pageCount = pageCount
        words = Array(repeating: 0, count: (pageCount + 63) / 64)
    }

    /// All of `pageCount` pages.
    public static func all(pageCount: Int) -> PageSet {
        var set = PageSet(pageCount: pageCount)
        for page in 0..<pageCount { set.insert(page) }
        return set
    }

    /// The set with these bits: page n is bit n % 64 of word n / 64. Missing words are zeros, bits
    /// beyond the block are left out.
    public init(pageCount: Int, bitmap: some Sequence<UInt64>) {
        self.init(pageCount: pageCount)
        for (index, word) in bitmap.enumerated() where index < words.count { words[index] = word }
        let rest = pageCount & 63
        if rest > 0, let last = words.indices.last { words[last] &= 1 << UInt64(rest) - 1 }
    }

    /// The bits: page n is bit n % 64 of word n / 64.
    public var bitmap: [UInt64] { words }

    /// Adds page `page`.
    public mutating func insert(_ page: Int) {
        precondition(page >= 0 && page < pageCount, "page outside the block")
        words[page >> 6] |= 1 << UInt64(page & 63)
    }

    /// Takes page `page` out.
    public mutating func remove(_ page: Int) {
        precondition(page >= 0 && page < pageCount, "page outside the block")
        words[page >> 6] &= ~(1 << UInt64(page & 63))
    }

    /// Whether page `page` is in the set.
    public func contains(_ page: Int) -> Bool {
        page >= 0 && page < pageCount && words[page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    /// Adds the pages of a range.
    public mutating func insert(contentsOf range: Range<Int>) {
        for page in range { insert(page) }
    }

    /// Adds the pages of another set of the same size.
    public mutating func formUnion(_ other: PageSet) { combine(other) { $0 | $1 } }

    /// Keeps the pages that another set of the same size has as well.
    public mutating func formIntersection(_ other: PageSet) { combine(other) { $0 & $1 } }

    /// Takes out the pages of another set of the same size.
    public mutating func subtract(_ other: PageSet) { combine(other) { $0 & ~$1 } }

    /// Whether no page is in both sets.
    public func isDisjoint(with other: PageSet) -> Bool {
        zip(words, other.words).allSatisfy { $0 & $1 == 0 }
    }

    private mutating func combine(_ other: PageSet, _ operation: (UInt64, UInt64) -> UInt64) {
        precondition(other.pageCount == pageCount, "sets over blocks of different sizes")
        for index in words.indices { words[index] = operation(words[index], other.words[index]) }
    }

    /// How many pages are in the set.
    /// - Complexity: O(pageCount / 64)
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// Whether no page is in the set.
    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    /// The pages in ascending order.
    public var pages: [Int] {
        var result: [Int] = []
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                result.append(index << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return result
    }

    /// Runs of adjacent pages, ascending.
    public var runs: [Range<Int>] {
        var result: [Range<Int>] = []
        for page in pages {
            if let last = result.last, last.upperBound == page {
                result[result.count - 1] = last.lowerBound..<(page + 1)
            } else {
                result.append(page..<(page + 1))
            }
        }
        return result
    }

    /// The page numbers as text.
    public var description: String { "\(pages) of \(pageCount)" }
}
