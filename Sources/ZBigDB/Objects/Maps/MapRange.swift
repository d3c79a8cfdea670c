/// Keys from one to another, in the order of a map.
///
/// Swift's ranges are such ranges: `"a"..<"b"`, `10...`, `...date`. What they cannot say has a function here.
public struct MapRange<Key: PersistentKey>: MapRangeExpression {
    private enum Bound {
        case none
        /// At the key.
        case at(Key)
        /// Behind the key.
        case behind(Key)
    }

    private let lower: Bound
    private let upper: Bound

    private init(_ lower: Bound, _ upper: Bound) {
        self.lower = lower
        self.upper = upper
    }

    /// All keys.
    public static var all: MapRange { MapRange(.none, .none) }
    /// The keys behind `key`, for going on where a page ended.
    public static func after(_ key: Key) -> MapRange { MapRange(.behind(key), .none) }
    /// The keys before `key`.
    public static func before(_ key: Key) -> MapRange { MapRange(.none, .at(key)) }
    /// The keys from `key` on.
    public static func from(_ key: Key) -> MapRange { MapRange(.at(key), .none) }
    /// The keys up to `key` and with it.
    public static func through(_ key: Key) -> MapRange { MapRange(.none, .behind(key)) }

    /// Keys from this range on and before the end of another.
    public func and(_ other: MapRange) -> MapRange {
        func pick(_ a: Bound, _ b: Bound) -> Bound { if case .none = a { b } else { a } }
        return MapRange(pick(lower, other.lower), pick(upper, other.upper))
    }

    /// The range itself.
    public var mapRange: MapRange { self }

    func subkeys() throws -> SubkeyRange {
        var range = SubkeyRange()
        switch lower {
        case .none: break
        case .at(let key): range.from = try KeyEncoder.subkey(key)
        case .behind(let key): range.from = SubkeyRange.successor(of: try KeyEncoder.subkey(key))
        }
        switch upper {
        case .none: break
        case .at(let key): range.to = try KeyEncoder.subkey(key)
        case .behind(let key): range.to = SubkeyRange.successor(of: try KeyEncoder.subkey(key))
        }
        return range
    }
}

/// What can stand for a range of keys.
public protocol MapRangeExpression<Key> {
    /// The type of the keys.
    associatedtype Key: PersistentKey
    /// The range.
    var mapRange: MapRange<Key> { get }
}

extension SubkeyRange {
    /// Nil stands for all keys.
    init<Key: PersistentKey>(_ range: (any MapRangeExpression<Key>)?) throws {
        self = try range?.mapRange.subkeys() ?? SubkeyRange()
    }
}

extension Range: MapRangeExpression where Bound: PersistentKey {
    /// From the lower bound to before the upper one.
    public var mapRange: MapRange<Bound> { .from(lowerBound).and(.before(upperBound)) }
}

extension ClosedRange: MapRangeExpression where Bound: PersistentKey {
    /// From the lower bound through the upper one.
    public var mapRange: MapRange<Bound> { .from(lowerBound).and(.through(upperBound)) }
}

extension PartialRangeFrom: MapRangeExpression where Bound: PersistentKey {
    /// From the lower bound on.
    public var mapRange: MapRange<Bound> { .from(lowerBound) }
}

extension PartialRangeUpTo: MapRangeExpression where Bound: PersistentKey {
    /// Before the upper bound.
    public var mapRange: MapRange<Bound> { .before(upperBound) }
}

extension PartialRangeThrough: MapRangeExpression where Bound: PersistentKey {
    /// Through the upper bound.
    public var mapRange: MapRange<Bound> { .through(upperBound) }
}
