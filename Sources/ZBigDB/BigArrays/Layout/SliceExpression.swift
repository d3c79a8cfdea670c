/// What stands between the brackets when a part of an array is taken: `array[0:10, ::-1]`.
///
/// Axes that are not named are taken whole, so an empty expression is the whole array.
///
/// ```swift
/// let text = try SliceExpression(parsing: "0:10, ::-1")
/// let ranges = SliceExpression(0..<10, .range(step: -1))
/// text == ranges  // true
/// ```
public struct SliceExpression: Hashable, Sendable {
    /// The parts, in the order they are written.
    public var indices: [AxisIndex]

    /// Creates an expression of these parts.
    public init(_ indices: [AxisIndex]) {
        self.indices = indices
    }

    /// Creates an expression of integers, ranges and ``AxisIndex`` values.
    public init<each Index: AxisIndexConvertible>(_ index: repeat each Index) {
        var indices: [AxisIndex] = []
        for part in repeat each index { indices.append(part.axisIndex) }
        self.indices = indices
    }

    /// Reads the text NumPy has between the brackets, for example `3426`, `0:10, ::-1`, `..., 0`
    /// or `None, 2:`. Spaces and a comma at the end do not matter.
    ///
    /// - Throws: ``ArrayError/invalidSlice(_:position:reason:)``.
    public init(parsing text: String) throws(ArrayError) {
        var parser = SliceParser(text)
        self.indices = try parser.parse()
    }
}

extension SliceExpression: ExpressibleByArrayLiteral {
    /// Creates an expression of these parts.
    public init(arrayLiteral elements: AxisIndex...) {
        self.indices = elements
    }
}

extension SliceExpression: CustomStringConvertible {
    /// The text ``init(parsing:)`` reads back.
    public var description: String {
        indices.map(\.description).joined(separator: ", ")
    }
}
