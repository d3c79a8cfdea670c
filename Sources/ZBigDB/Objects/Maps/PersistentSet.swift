/// An ordered set in the database, of any size: a ``PersistentMap`` without values.
public struct PersistentSet<Element: PersistentKey>: PersistentReference {
    private let map: PersistentMap<Element, NoValue>

    /// A new, empty set.
    public init() { map = PersistentMap() }

    private init(_ map: PersistentMap<Element, NoValue>) { self.map = map }

    /// The object that keeps the elements.
    public var persistentObject: PersistentObject { map.object }

    /// The set whose elements `object` keeps.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``.
    public static func reference(to object: PersistentObject) throws -> PersistentSet {
        PersistentSet(try PersistentMap.reference(to: object))
    }

    /// Whether `element` is in the set.
    ///
    /// - Complexity: O(log n).
    public func contains(_ element: Element) throws -> Bool { try map.contains(element) }

    /// Puts `element` in.
    ///
    /// - Throws: ``StorageError/keyTooLong(length:limit:)``, what ``Transaction/join(_:)`` throws.
    public func insert(_ element: Element) throws { try map.updateValue(NoValue(), forKey: element) }

    /// Removes `element`.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    public func remove(_ element: Element) throws -> Bool { try map.removeValue(forKey: element) }

    /// The number of elements.
    ///
    /// - Complexity: that of ``PersistentMap/count``.
    public var count: Int { get throws { try map.count } }
    /// Whether there is no element.
    public var isEmpty: Bool { get throws { try map.isEmpty } }

    /// Calls `body` with each element of a range, in order or backwards.
    public func forEach(
        in range: (any MapRangeExpression<Element>)? = nil, reversed: Bool = false,
        _ body: (Element) throws -> Void
    ) throws {
        try map.forEach(in: range, reversed: reversed) { element, _ in try body(element) }
    }

    /// At most `limit` elements of a range.
    ///
    /// - Complexity: O(log n + limit).
    public func page(
        in range: (any MapRangeExpression<Element>)? = nil, reversed: Bool = false,
        limit: Int = 100
    ) throws -> [Element] {
        try map.page(in: range, reversed: reversed, limit: limit).map(\.key)
    }

    /// The first element of a range.
    public func first(in range: (any MapRangeExpression<Element>)? = nil) throws -> Element? {
        try map.first(in: range)?.key
    }

    /// The last element of a range.
    public func last(in range: (any MapRangeExpression<Element>)? = nil) throws -> Element? {
        try map.last(in: range)?.key
    }
}

/// Stands where a map has a value: a CBOR null.
struct NoValue: PersistentValue {
    func encode(to encoder: inout StateEncoder) throws { encoder.writer.null() }
    static func decode(from decoder: inout StateDecoder) throws -> NoValue {
        guard decoder.reader.takeNull() else {
            throw CBORReader.Malformed(description: "an element of a set has a value")
        }
        return NoValue()
    }
}
