/// Exact arithmetic on array shapes.
///
/// A shape is a plain `[Int]`: one length per axis, empty for a scalar. Every
/// function here either gives the exact answer or throws; none wraps around.
public enum ArrayShape {
    /// The largest number of axes an array may have, the same as NumPy 2.
    public static let maximumRank = 64

    /// Checks that a shape has no negative length and not too many axes.
    ///
    /// - Throws: ``ArrayError/invalidShape(_:reason:)``.
    public static func check(_ shape: [Int]) throws(ArrayError) {
        guard shape.count <= maximumRank else {
            throw .invalidShape(shape, reason: "an array has at most \(maximumRank) axes")
        }
        for length in shape where length < 0 {
            throw .invalidShape(shape, reason: "no axis can have a negative length")
        }
    }

    /// The number of items in an array of this shape; 1 for a scalar.
    ///
    /// - Throws: ``ArrayError/sizeOverflow(shape:itemSize:)`` when the number does not fit in an `Int`.
    public static func count(_ shape: [Int]) throws(ArrayError) -> Int {
        try byteCount(shape, itemSize: 1)
    }

    /// The number of bytes in an array of this shape.
    ///
    /// A length of zero counts as one for the overflow check, so that an array
    /// without items is accepted only when its strides are exact as well.
    ///
    /// - Throws: ``ArrayError/sizeOverflow(shape:itemSize:)`` when the number does not fit in an `Int`.
    public static func byteCount(_ shape: [Int], itemSize: Int) throws(ArrayError) -> Int {
        let strides = try strides(shape, itemSize: itemSize, order: .c)
        guard !shape.contains(0) else { return 0 }
        // The strides fit together with the whole size: no overflow here.
        return shape.isEmpty ? itemSize : strides[0] * shape[0]
    }

    /// The strides in bytes of a new array without gaps.
    ///
    /// - Throws: ``ArrayError/invalidShape(_:reason:)`` or ``ArrayError/sizeOverflow(shape:itemSize:)``.
    public static func strides(
        _ shape: [Int], itemSize: Int, order: Order
    ) throws(ArrayError) -> [Int] {
        try check(shape)
        guard itemSize >= 0 else {
            throw .invalidShape(shape, reason: "the item size \(itemSize) is negative")
        }
        var strides = [Int](repeating: 0, count: shape.count)
        var next = itemSize
        for step in shape.indices {
            let axis = order == .c ? shape.count - 1 - step : step
            strides[axis] = next
            let (product, overflow) = next.multipliedReportingOverflow(by: max(shape[axis], 1))
            guard !overflow else { throw .sizeOverflow(shape: shape, itemSize: itemSize) }
            next = product
        }
        return strides
    }

    /// The shape two arrays have together when NumPy's broadcasting rule stretches axes of length 1.
    ///
    /// - Throws: ``ArrayError/notBroadcastable(from:to:)`` when two lengths differ and neither is 1.
    public static func broadcast(_ first: [Int], _ second: [Int]) throws(ArrayError) -> [Int] {
        let rank = max(first.count, second.count)
        var result = [Int](repeating: 1, count: rank)
        for back in stride(from: 1, through: rank, by: 1) {
            let one = back <= first.count ? first[first.count - back] : 1
            let two = back <= second.count ? second[second.count - back] : 1
            guard one == two || one == 1 || two == 1 else {
                throw .notBroadcastable(from: second, to: first)
            }
            result[rank - back] = one == 1 ? two : one
        }
        return result
    }

    /// A shape as Python writes a tuple: `()`, `(3,)`, `(3, 4)`.
    public static func text(_ shape: [Int]) -> String {
        shape.count == 1 ? "(\(shape[0]),)" : "(\(shape.map(String.init).joined(separator: ", ")))"
    }
}
