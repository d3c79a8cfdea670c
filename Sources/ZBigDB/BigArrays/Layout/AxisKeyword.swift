/// The parts of an index expression that are not integers or Swift ranges, for use with a leading
/// dot among those: `SliceExpression(0..<10, .ellipsis, .range(step: -1))`.
public struct AxisKeyword: AxisIndexConvertible, Hashable, Sendable {
    /// The part as an ``AxisIndex``.
    public let axisIndex: AxisIndex
}

extension AxisIndexConvertible where Self == AxisKeyword {
    /// All items of one axis.
    public static var all: AxisKeyword { AxisKeyword(axisIndex: .all) }

    /// All items of every axis that no other part names.
    public static var ellipsis: AxisKeyword { AxisKeyword(axisIndex: .ellipsis) }

    /// An additional axis of length 1.
    public static var newAxis: AxisKeyword { AxisKeyword(axisIndex: .newAxis) }

    /// Every `step`-th item from `start` up to but not including `stop`.
    public static func range(start: Int? = nil, stop: Int? = nil, step: Int = 1) -> AxisKeyword {
        AxisKeyword(axisIndex: .range(start: start, stop: stop, step: step))
    }
}
