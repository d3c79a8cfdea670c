extension StridedLayout {
    /// Calls `body` for runs of items at equal distances, in C order of the indices. Neighbouring axes
    /// are joined where they can be, so the runs are as long as the layout allows.
    ///
    /// A run has its first item at `byteOffset` and `count` items, each `byteStride` bytes after the
    /// one before it. Without items there are no calls, a scalar is one run of one item.
    @inlinable
    public func forEachStridedRun<E: Error>(
        _ body: (_ byteOffset: Int, _ count: Int, _ byteStride: Int) throws(E) -> Void
    ) throws(E) {
        try forEachPair(with: self) {
            (at: Int, _: Int, count: Int, stride: Int, _: Int) throws(E) in
            try body(at, count, stride)
        }
    }

    /// Calls `body` for runs of items without gaps between them, in C order of the indices.
    ///
    /// Where the innermost axis has gaps, each item is a run of its own: use
    /// ``forEachStridedRun(_:)`` when that matters.
    @inlinable
    public func forEachRun<E: Error>(
        _ body: (_ byteOffset: Int, _ count: Int) throws(E) -> Void
    ) throws(E) {
        let itemSize = itemSize
        try forEachStridedRun { (at: Int, count: Int, stride: Int) throws(E) in
            guard stride != itemSize else { return try body(at, count) }
            for item in 0..<count { try body(at + item * stride, 1) }
        }
    }

    /// Walks two layouts of the same shape together, in C order of the indices.
    ///
    /// `body` is called for the longest runs in which the items of both layouts are at equal
    /// distances: the byte offsets of the first pair, how many pairs, and the two distances.
    ///
    /// - Precondition: both layouts have the same shape; ``broadcast(to:)`` makes it so.
    @inlinable
    public func forEachPair<E: Error>(
        with other: StridedLayout,
        _ body: (
            _ byteOffset: Int, _ otherByteOffset: Int, _ count: Int, _ byteStride: Int, _ otherByteStride: Int
        ) throws(E) -> Void
    ) throws(E) {
        precondition(shape == other.shape, "broadcast the layouts to one shape first")
        guard !isEmpty else { return }
        let axes = CoalescedAxes(shape: shape, first: strides, second: other.strides)
        guard let inner = axes.shape.indices.last else {
            return try body(offset, other.offset, 1, itemSize, other.itemSize)
        }
        var position = [Int](repeating: 0, count: inner)
        var one = offset
        var two = other.offset
        while true {
            try body(one, two, axes.shape[inner], axes.first[inner], axes.second[inner])
            var axis = inner - 1
            while axis >= 0 {
                position[axis] += 1
                // One step beyond the end may be more than an Int holds; the way back undoes it.
                one &+= axes.first[axis]
                two &+= axes.second[axis]
                if position[axis] < axes.shape[axis] { break }
                one &-= axes.first[axis] &* axes.shape[axis]
                two &-= axes.second[axis] &* axes.shape[axis]
                position[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}
