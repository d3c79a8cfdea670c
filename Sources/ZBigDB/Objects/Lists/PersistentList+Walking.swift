extension PersistentList {
    /// Calls `body` with the elements of a range and their indices, in order or backwards.
    ///
    /// Elements stream, a leaf at a time, however many there are. The walk sees the list as it was at the start: what
    /// `body` changes in the list it does not see.
    ///
    /// - Parameters:
    ///   - range: such as `10..<20` or `10...`; indices behind the end are passed over.
    ///   - reversed: whether to begin at the end of the range.
    ///   - body: what to do with each element.
    /// - Throws: what `body` throws, which ends the walk; ``StorageError``.
    @inlinable
    public func forEach(
        in range: (any RangeExpression<Int>)? = nil, reversed: Bool = false,
        _ body: (_ index: Int, _ element: Element) throws -> Void
    ) throws {
        var elements = try elements(in: range, reversed: reversed)
        while let next = try elements.next() { try body(next.index, next.element) }
    }

    /// The elements of a range with their indices, to be taken one by one.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)`` if the range begins below 0.
    /// - Complexity: O(log n) to begin, O(1) for each element.
    public func elements(
        in range: (any RangeExpression<Int>)? = nil, reversed: Bool = false
    ) throws -> ListElements<Element> {
        ListElements(self, try object.walk(range, reversed: reversed))
    }

    /// At most `limit` elements of a range, in order or backwards.
    ///
    /// - Complexity: O(log n + limit).
    public func page(
        in range: (any RangeExpression<Int>)? = nil, reversed: Bool = false, limit: Int = 100
    ) throws -> [Element] {
        var elements = try elements(in: range, reversed: reversed)
        return try elements.take(limit)
    }

    // MARK: Searching

    /// The index of the first element that satisfies `predicate`; nil if none does.
    ///
    /// - Complexity: O(n): elements are looked at from the first on.
    public func firstIndex(where predicate: (Element) throws -> Bool) throws -> Int? {
        var elements = try elements()
        while let next = try elements.next() {
            if try predicate(next.element) { return next.index }
        }
        return nil
    }

    /// Whether an element satisfies `predicate`.
    ///
    /// - Complexity: O(n).
    public func contains(where predicate: (Element) throws -> Bool) throws -> Bool {
        try firstIndex(where: predicate) != nil
    }
}

extension PersistentList where Element: Equatable {
    /// The index of the first element that is equal to `element`; nil if none is.
    ///
    /// - Complexity: O(n).
    public func firstIndex(of element: Element) throws -> Int? { try firstIndex { $0 == element } }

    /// Whether an element is equal to `element`.
    ///
    /// - Complexity: O(n).
    public func contains(_ element: Element) throws -> Bool { try firstIndex(of: element) != nil }
}

/// The elements of a list with their indices, taken one by one:
///
/// ```swift
/// var elements = try list.elements(in: 1000...)
/// while let (index, element) = try elements.next() { print(index, element) }
/// ```
///
/// It shows the list as it was when it was asked for, and keeps the database from reusing space as long as it lives.
public struct ListElements<Element: PersistentValue> {
    private let list: PersistentList<Element>
    private var walk: ListWalk
    private let isReversed: Bool
    // Decoded ahead, a run at a time: what goes on for each element is in the client's code.
    @usableFromInline var decoded: [Element] = []
    @usableFromInline var position = 0
    /// The index in the list of the first that was decoded, and the way to the next.
    @usableFromInline var firstIndex = 0
    @usableFromInline let step: Int
    /// Why what comes behind them cannot be read.
    private var failure: (any Error)?

    init(_ list: PersistentList<Element>, _ walk: ListWalk) {
        self.list = list
        self.walk = walk
        isReversed = walk.isReversed
        step = walk.isReversed ? -1 : 1
    }

    /// The next element, or nil at the end.
    ///
    /// - Throws: ``StorageError``, ``DatabaseError/unreadable(path:oid:reason:)``.
    @inlinable
    public mutating func next() throws -> (index: Int, element: Element)? {
        if position == decoded.count, try !decodeMore() { return nil }
        defer { position += 1 }
        return (firstIndex + step * position, decoded[position])
    }

    /// At most `limit` of the elements that come next.
    mutating func take(_ limit: Int) throws -> [Element] {
        walk.shorten(to: limit)
        var page: [Element] = []
        while page.count < limit, let next = try next() { page.append(next.element) }
        return page
    }

    /// Decodes elements that come next; false at the end.
    @usableFromInline
    mutating func decodeMore() throws -> Bool {
        decoded.removeAll(keepingCapacity: true)
        position = 0
        if let failure { throw failure }
        guard let run = try walk.next() else { return false }
        if isReversed {
            for place in run.places.reversed() {
                failure = list.decode(run.only(place), &decoded)
                if failure != nil { break }
            }
            firstIndex = run.position + run.places.count - 1
        } else {
            failure = list.decode(run, &decoded)
            firstIndex = run.position
        }
        if decoded.isEmpty, let failure { throw failure }
        return true
    }
}
