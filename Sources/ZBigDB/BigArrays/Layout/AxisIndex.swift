/// One part of an index expression: what to take from one axis.
public enum AxisIndex: Hashable, Sendable {
    /// One item; the axis disappears. Negative numbers count from the end.
    case index(Int)
    /// Every `step`-th item from `start` up to but not including `stop`, as in `start:stop:step`.
    case range(start: Int? = nil, stop: Int? = nil, step: Int = 1)
    /// All items of every axis that no other part names.
    case ellipsis
    /// An additional axis of length 1.
    case newAxis

    /// All items of one axis.
    public static let all = AxisIndex.range()

    /// The position an integer index stands for.
    ///
    /// - Throws: ``ArrayError/indexOutOfRange(axis:index:length:)`` for an index of `length` or more,
    ///   or below `-length`.
    static func resolve(_ index: Int, axis: Int, length: Int) throws(ArrayError) -> Int {
        guard index >= -length, index < length else {
            throw .indexOutOfRange(axis: axis, index: index, length: length)
        }
        return index < 0 ? index + length : index
    }

    /// The items a range selects on an axis: the first position, the step, and how many.
    ///
    /// Positions outside of the axis are cut off, never refused; an empty range has start 0 and step 1.
    ///
    /// - Throws: ``ArrayError/zeroStep``.
    static func resolve(
        start: Int?, stop: Int?, step: Int, length: Int
    ) throws(ArrayError) -> (start: Int, step: Int, count: Int) {
        guard step != 0 else { throw .zeroStep }
        // With a negative step, -1 stands for the place before the first item.
        let low = step > 0 ? 0 : -1
        let high = step > 0 ? length : length - 1
        func place(_ position: Int) -> Int {
            min(max(position < 0 ? position + length : position, low), high)
        }
        let first = start.map(place) ?? (step > 0 ? low : high)
        let last = stop.map(place) ?? (step > 0 ? high : low)
        let distance = step > 0 ? last - first : first - last
        guard distance > 0 else { return (0, 1, 0) }
        // The magnitude of the smallest Int does not fit in an Int.
        return (first, step, Int((UInt(distance) - 1) / step.magnitude) + 1)
    }
}

extension AxisIndex: ExpressibleByIntegerLiteral {
    /// One item.
    public init(integerLiteral value: Int) {
        self = .index(value)
    }
}

extension AxisIndex: CustomStringConvertible {
    /// The part as NumPy writes it: `3`, `0:10`, `::-1`, `...` or `None`.
    public var description: String {
        switch self {
        case .index(let value): return "\(value)"
        case .range(let start, let stop, let step):
            let bounds = "\(start.map(String.init) ?? ""):\(stop.map(String.init) ?? "")"
            return step == 1 ? bounds : "\(bounds):\(step)"
        case .ellipsis: return "..."
        case .newAxis: return "None"
        }
    }
}
