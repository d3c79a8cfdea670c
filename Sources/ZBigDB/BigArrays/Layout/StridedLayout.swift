/// Where the items of an array lie among the bytes of its memory.
///
/// A layout is plain arithmetic: slicing, transposing and broadcasting give
/// another layout of the same bytes, and nothing is read or copied. The item at
/// `indices` starts at `offset` plus the sum of each index times its stride.
public struct StridedLayout: Hashable, Sendable {
    /// The length of each axis; empty for a scalar.
    public let shape: [Int]
    /// The distance in bytes between neighbours on each axis. It may be negative or zero.
    public let strides: [Int]
    /// Where the first item starts, in bytes.
    public let offset: Int
    /// The size of one item in bytes.
    public let itemSize: Int

    /// Keeps values that are known to be consistent.
    init(trusted shape: [Int], strides: [Int], offset: Int, itemSize: Int) {
        self.shape = shape
        self.strides = strides
        self.offset = offset
        self.itemSize = itemSize
    }

    /// The layout of a new array without gaps.
    ///
    /// - Throws: ``ArrayError/invalidShape(_:reason:)`` for a negative length,
    ///   ``ArrayError/sizeOverflow(shape:itemSize:)`` when the sizes do not fit in an `Int`.
    public init(shape: [Int], itemSize: Int, order: Order = .c, offset: Int = 0) throws(ArrayError) {
        try self.init(
            shape: shape, strides: ArrayShape.strides(shape, itemSize: itemSize, order: order),
            offset: offset, itemSize: itemSize)
    }

    /// A layout from its parts, for example from a stored description.
    ///
    /// - Throws: ``ArrayError/layoutOutOfBounds(reason:)`` when an item would start before byte 0 or
    ///   end after the largest `Int`, or an error about the shape.
    public init(shape: [Int], strides: [Int], offset: Int, itemSize: Int) throws(ArrayError) {
        guard itemSize >= 0 else {
            throw .layoutOutOfBounds(reason: "the item size \(itemSize) is negative")
        }
        guard shape.count == strides.count else {
            throw .layoutOutOfBounds(reason: "\(shape.count) axes have \(strides.count) strides")
        }
        _ = try ArrayShape.byteCount(shape, itemSize: max(itemSize, 1))
        var low = offset
        var (high, overflow) = offset.addingReportingOverflow(itemSize)
        for (length, stride) in zip(shape, strides) where length > 1 {
            let (extent, first) = stride.multipliedReportingOverflow(by: length - 1)
            let second: Bool
            if extent < 0 {
                (low, second) = low.addingReportingOverflow(extent)
            } else {
                (high, second) = high.addingReportingOverflow(extent)
            }
            overflow = overflow || first || second
        }
        guard !overflow else { throw .layoutOutOfBounds(reason: "a byte offset is larger than 2^63 - 1") }
        guard low >= 0 else { throw .layoutOutOfBounds(reason: "an item starts before byte 0") }
        self.init(trusted: shape, strides: strides, offset: offset, itemSize: itemSize)
    }

    /// The number of axes.
    @inlinable
    public var rank: Int { shape.count }

    /// The number of items.
    @inlinable
    public var count: Int { shape.reduce(1, *) }

    /// True when there are no items.
    @inlinable
    public var isEmpty: Bool { shape.contains(0) }

    /// The number of bytes all items take together, without gaps and with repeated items counted each time.
    @inlinable
    public var byteCount: Int { count * itemSize }

    /// The bytes from the first one that belongs to an item up to the last one; `0..<0` without items.
    public var byteRange: Range<Int> {
        guard !isEmpty else { return 0..<0 }
        var low = offset
        var high = offset + itemSize
        for (length, stride) in zip(shape, strides) where length > 1 {
            let extent = stride * (length - 1)
            if extent < 0 { low += extent } else { high += extent }
        }
        return low..<high
    }

    /// Checks that every item lies inside of the first `size` bytes.
    ///
    /// - Throws: ``ArrayError/layoutOutOfBounds(reason:)``.
    public func check(within size: Int) throws(ArrayError) {
        guard byteRange.upperBound <= size else {
            throw .layoutOutOfBounds(
                reason: "it reaches up to byte \(byteRange.upperBound) of memory that has \(size)")
        }
    }

    /// True when the items lie one after another without gaps, in the given order.
    ///
    /// As in NumPy, axes of length 1 do not matter and a layout without items is contiguous.
    public func isContiguous(_ order: Order = .c) -> Bool {
        guard !isEmpty else { return true }
        var expected = itemSize
        for step in shape.indices {
            let axis = order == .c ? shape.count - 1 - step : step
            guard shape[axis] > 1 else { continue }
            guard strides[axis] == expected else { return false }
            expected *= shape[axis]
        }
        return true
    }

    /// The byte where the item at `indices` starts, one index for each axis; negative ones count from the end.
    ///
    /// - Throws: ``ArrayError/indexOutOfRange(axis:index:length:)``, or
    ///   ``ArrayError/tooManyIndices(given:rank:)`` when the number of indices is not the rank.
    public func byteOffset(of indices: [Int]) throws(ArrayError) -> Int {
        guard indices.count == rank else { throw .tooManyIndices(given: indices.count, rank: rank) }
        var result = offset
        for axis in indices.indices {
            result += strides[axis] * (try AxisIndex.resolve(indices[axis], axis: axis, length: shape[axis]))
        }
        return result
    }
}

// MARK: - Other layouts of the same bytes

extension StridedLayout {
    /// The same items with the axes in reverse order.
    public func transposed() -> StridedLayout {
        StridedLayout(
            trusted: shape.reversed(), strides: strides.reversed(), offset: offset, itemSize: itemSize)
    }

    /// The same items with every byte offset larger by `distance`.
    ///
    /// - Throws: ``ArrayError/layoutOutOfBounds(reason:)`` when an item would start before byte 0.
    public func shifted(by distance: Int) throws(ArrayError) -> StridedLayout {
        let (moved, overflow) = offset.addingReportingOverflow(distance)
        guard !overflow else { throw .layoutOutOfBounds(reason: "a byte offset is larger than 2^63 - 1") }
        return try StridedLayout(shape: shape, strides: strides, offset: moved, itemSize: itemSize)
    }

    /// Stretches axes of length 1, and adds axes in front, by repeating items with stride 0.
    ///
    /// - Throws: ``ArrayError/notBroadcastable(from:to:)``, or an error about the new shape.
    public func broadcast(to target: [Int]) throws(ArrayError) -> StridedLayout {
        _ = try ArrayShape.byteCount(target, itemSize: max(itemSize, 1))
        let added = target.count - rank
        guard added >= 0 else { throw .notBroadcastable(from: shape, to: target) }
        var result = [Int](repeating: 0, count: added)
        for axis in shape.indices {
            guard shape[axis] == target[added + axis] || shape[axis] == 1 else {
                throw .notBroadcastable(from: shape, to: target)
            }
            result.append(shape[axis] == 1 ? 0 : strides[axis])
        }
        return StridedLayout(trusted: target, strides: result, offset: offset, itemSize: itemSize)
    }

    /// One field of every record, in the same memory; a field with a shape adds its axes at the end.
    ///
    /// The items of this layout must be records that have the field.
    public func field(_ field: DType.Field) throws(ArrayError) -> StridedLayout {
        guard field.offset >= 0, try field.byteCount() <= itemSize - field.offset else {
            throw .layoutOutOfBounds(
                reason: "the field '\(field.name)' is not part of a \(itemSize)-byte item")
        }
        let inner = try ArrayShape.strides(field.shape, itemSize: field.dtype.itemSize, order: .c)
        return try StridedLayout(
            shape: shape + field.shape, strides: strides + inner, offset: offset + field.offset,
            itemSize: field.dtype.itemSize)
    }
}
