/// A value that can stand for one axis in an index expression: an integer, a Swift range of
/// integers, or an ``AxisIndex``.
public protocol AxisIndexConvertible {
    /// The value as part of an index expression.
    var axisIndex: AxisIndex { get }
}

extension AxisIndex: AxisIndexConvertible {
    /// Itself.
    public var axisIndex: AxisIndex { self }
}

extension Int: AxisIndexConvertible {
    /// One item.
    public var axisIndex: AxisIndex { .index(self) }
}

extension Range<Int>: AxisIndexConvertible {
    /// The items of the range. `-3 ..< 0` are the last three.
    public var axisIndex: AxisIndex {
        .range(start: lowerBound, stop: lowerBound < 0 && upperBound == 0 ? nil : upperBound)
    }
}

extension ClosedRange<Int>: AxisIndexConvertible {
    /// The items of the range. `-3 ... -1` are the last three.
    public var axisIndex: AxisIndex {
        .range(start: lowerBound, stop: AxisIndex.stop(after: upperBound))
    }
}

extension PartialRangeFrom<Int>: AxisIndexConvertible {
    /// The items from the lower bound to the end.
    public var axisIndex: AxisIndex { .range(start: lowerBound) }
}

extension PartialRangeUpTo<Int>: AxisIndexConvertible {
    /// The items before the upper bound.
    public var axisIndex: AxisIndex { .range(stop: upperBound) }
}

extension PartialRangeThrough<Int>: AxisIndexConvertible {
    /// The items up to the upper bound, which is included.
    public var axisIndex: AxisIndex { .range(stop: AxisIndex.stop(after: upperBound)) }
}

extension AxisIndex {
    /// The stop that includes `last`; nil where the next number would mean something else.
    fileprivate static func stop(after last: Int) -> Int? {
        last == -1 || last == .max ? nil : last + 1
    }
}
