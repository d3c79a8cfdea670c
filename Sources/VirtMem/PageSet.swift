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

    /// The page numbers as text.
    public var description: String { "\(pages) of \(pageCount)" }
}
