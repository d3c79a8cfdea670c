internal import VirtMem

/// A part of an array: the same elements, seen with other axes. No copy.
public struct BigArraySlice {
    /// The array it is a part of.
    public let array: BigArray
    /// Where its elements lie, from the start of the array.
    public let layout: StridedLayout
    /// The type of its elements: the array's, or that of a field.
    public let dtype: DType

    /// The length of each axis.
    public var shape: [Int] { layout.shape }
    /// The number of elements.
    public var count: Int { layout.count }

    /// No more than this much of the array is loaded at a time.
    private static let pieceBytes = 64 << 20

    /// A part of this part.
    public func slice(_ expression: SliceExpression) throws(ArrayError) -> BigArraySlice {
        BigArraySlice(array: array, layout: try layout.applying(expression), dtype: dtype)
    }

    /// One field of a structured array.
    ///
    /// - Throws: ``ArrayError/noSuchField(_:available:)``.
    public func field(_ name: String) throws(ArrayError) -> BigArraySlice {
        let field = try dtype.field(named: name)
        return BigArraySlice(array: array, layout: try layout.field(field), dtype: field.dtype)
    }

    // MARK: Reading

    /// The elements, in C order.
    ///
    /// - Throws: ``ArrayError/dtypeMismatch(expected:actual:)`` and what loading throws.
    public func values<T: ArrayElement>(as type: T.Type) throws -> [T] {
        if T.dtype != dtype { throw ArrayError.dtypeMismatch(expected: dtype, actual: T.dtype) }
        let count = self.count
        return unsafe try [T](unsafeUninitializedCapacity: count) { buffer, filled in
            try unsafe copyBytes(into: UnsafeMutableRawBufferPointer(buffer))
            filled = count
        }
    }

    /// The elements' bytes, in C order.
    public func bytes() throws -> [UInt8] {
        let count = layout.byteCount
        return unsafe try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            try unsafe copyBytes(into: UnsafeMutableRawBufferPointer(buffer))
            filled = count
        }
    }

    /// Copies the elements, in C order, to the start of `target`.
    public func copyBytes(into target: UnsafeMutableRawBufferPointer) throws {
        try forEachPiece { piece, at in
            let range = piece.byteRange
            let source = try piece.shifted(by: -range.lowerBound)
            let packed = try StridedLayout(shape: piece.shape, itemSize: piece.itemSize)
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: target[at..<(at + packed.byteCount)])
            try unsafe array.withUnsafeBytes(of: range) { bytes in
                unsafe source.copyItems(from: bytes, to: part, layout: packed)
            }
        }
    }

    // MARK: Writing

    /// Stores `values`, in C order; one value goes to every element.
    ///
    /// - Throws: ``ArrayError/shapeMismatch(expected:actual:)`` with nothing changed.
    public func set<T: ArrayElement>(_ values: [T]) throws {
        if T.dtype != dtype { throw ArrayError.dtypeMismatch(expected: dtype, actual: T.dtype) }
        guard values.count == count || values.count == 1 else {
            throw ArrayError.shapeMismatch(expected: shape, actual: [values.count])
        }
        try unsafe values.withUnsafeBytes { bytes in
            let source = try StridedLayout(
                shape: values.count == 1 ? [] : shape, itemSize: layout.itemSize)
            try unsafe setBytes(bytes, layout: source)
        }
    }

    /// Stores `value` into every element.
    public func fill<T: ArrayElement>(_ value: T) throws { try set([value]) }

    /// Stores elements given as bytes, broadcast to this shape by NumPy's rules.
    ///
    /// - Throws: ``ArrayError/notBroadcastable(from:to:)`` with nothing changed.
    public func setBytes(_ bytes: UnsafeRawBufferPointer, layout source: StridedLayout) throws {
        try source.check(within: bytes.count)
        let source = try source.broadcast(to: shape)
        try forEachPiece(alongside: source) { piece, from in
            let range = piece.byteRange
            let target = try piece.shifted(by: -range.lowerBound)
            try unsafe array.withUnsafeMutableBytes(of: range) { memory in
                unsafe from.copyItems(from: bytes, to: memory, layout: target)
            }
        }
    }

    // MARK: Pieces

    /// Calls `body` with parts that lie in a bounded run of bytes each, and the
    /// place of their first byte in C order.
    private func forEachPiece(_ body: (StridedLayout, Int) throws -> Void) throws {
        var at = 0
        try Self.split(layout, layout) { piece, _ in
            try body(piece, at)
            at += piece.byteCount
        }
    }

    private func forEachPiece(
        alongside other: StridedLayout, _ body: (StridedLayout, StridedLayout) throws -> Void
    ) throws {
        try Self.split(layout, other, body)
    }

    /// Splits along the first axes until a piece's bytes lie close together.
    private static func split(
        _ layout: StridedLayout, _ other: StridedLayout, _ body: (StridedLayout, StridedLayout) throws -> Void
    ) throws {
        if layout.isEmpty { return }
        let extent = layout.byteRange.count
        guard extent > pieceBytes, let axis = layout.shape.firstIndex(where: { $0 > 1 }) else {
            return try body(layout, other)
        }
        let length = layout.shape[axis]
        // All axes before `axis` have length 1, so pieces come in C order.
        let step = max(1, pieceBytes / max(1, abs(layout.strides[axis])))
        for start in stride(from: 0, to: length, by: step) {
            let part = min(step, length - start)
            try split(layout.part(axis, start, part), other.part(axis, start, part), body)
        }
    }
}

extension StridedLayout {
    /// The items with indices `start..<(start + count)` on `axis`.
    fileprivate func part(_ axis: Int, _ start: Int, _ count: Int) -> StridedLayout {
        var shape = self.shape
        shape[axis] = count
        return StridedLayout(
            trusted: shape, strides: strides, offset: offset + start * strides[axis], itemSize: itemSize)
    }
}
