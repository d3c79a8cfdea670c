extension StridedLayout {
    /// The items an index expression selects, with exactly NumPy's rules for basic indexing.
    ///
    /// An integer removes its axis, a range keeps it and is cut off at the ends, an ellipsis stands
    /// for all axes that are not named, and a new axis has length 1.
    ///
    /// - Throws: ``ArrayError/indexOutOfRange(axis:index:length:)`` (also for an integer below `-n`),
    ///   ``ArrayError/tooManyIndices(given:rank:)``, ``ArrayError/multipleEllipses`` or
    ///   ``ArrayError/zeroStep``.
    public func applying(_ slice: SliceExpression) throws(ArrayError) -> StridedLayout {
        let named = slice.indices.count { $0 != .ellipsis && $0 != .newAxis }
        guard slice.indices.count(where: { $0 == .ellipsis }) <= 1 else { throw .multipleEllipses }
        guard named <= rank else { throw .tooManyIndices(given: named, rank: rank) }

        var shape: [Int] = []
        var strides: [Int] = []
        var offset = self.offset
        var axis = 0
        for index in slice.indices {
            switch index {
            case .index(let value):
                let position = try AxisIndex.resolve(value, axis: axis, length: self.shape[axis])
                offset += self.strides[axis] * position
                axis += 1
            case .range(let start, let stop, let step):
                let range = try AxisIndex.resolve(
                    start: start, stop: stop, step: step, length: self.shape[axis])
                offset += self.strides[axis] * range.start
                let (stride, overflow) = self.strides[axis].multipliedReportingOverflow(by: range.step)
                // It can only overflow where no second item is: then the stride does not matter.
                strides.append(overflow ? self.strides[axis] : stride)
                shape.append(range.count)
                axis += 1
            case .ellipsis:
                let skipped = axis..<axis + rank - named
                shape += self.shape[skipped]
                strides += self.strides[skipped]
                axis = skipped.upperBound
            case .newAxis:
                shape.append(1)
                strides.append(0)
            }
        }
        shape += self.shape[axis...]
        strides += self.strides[axis...]
        guard shape.count <= ArrayShape.maximumRank else {
            throw .invalidShape(shape, reason: "an array has at most \(ArrayShape.maximumRank) axes")
        }
        return StridedLayout(trusted: shape, strides: strides, offset: offset, itemSize: itemSize)
    }
}
