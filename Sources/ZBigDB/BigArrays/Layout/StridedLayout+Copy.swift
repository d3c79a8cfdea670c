extension StridedLayout {
    /// Copies the items of this layout in `source` to the places `layout` has for them in `destination`.
    ///
    /// Both layouts have the same shape and item size, and the buffers do not overlap: copy to a
    /// temporary buffer first where they do. Runs without gaps are copied as a whole.
    ///
    /// - Complexity: O(n) in the number of items.
    public func copyItems(
        from source: UnsafeRawBufferPointer, to destination: UnsafeMutableRawBufferPointer,
        layout: StridedLayout
    ) {
        precondition(itemSize == layout.itemSize, "the items must have the same size")
        precondition(byteRange.upperBound <= source.count, "the source is too small for its layout")
        precondition(layout.byteRange.upperBound <= destination.count, "the destination is too small")
        guard itemSize > 0, let from = source.baseAddress, let to = destination.baseAddress else { return }
        let size = itemSize
        forEachPair(with: layout) { at, otherAt, count, stride, otherStride in
            let from = unsafe from + at
            let to = unsafe to + otherAt
            if stride == size, otherStride == size {
                unsafe to.copyMemory(from: from, byteCount: count * size)
                return
            }
            switch size {
            case 1: unsafe Self.copy(UInt8.self, from, stride, to, otherStride, count)
            case 2: unsafe Self.copy(UInt16.self, from, stride, to, otherStride, count)
            case 4: unsafe Self.copy(UInt32.self, from, stride, to, otherStride, count)
            case 8: unsafe Self.copy(UInt64.self, from, stride, to, otherStride, count)
            default:
                for item in 0..<count {
                    unsafe (to + item * otherStride).copyMemory(from: from + item * stride, byteCount: size)
                }
            }
        }
    }

    private static func copy<Word: BitwiseCopyable>(
        _: Word.Type, _ from: UnsafeRawPointer, _ stride: Int, _ to: UnsafeMutableRawPointer,
        _ otherStride: Int, _ count: Int
    ) {
        for item in 0..<count {
            let word = unsafe from.loadUnaligned(fromByteOffset: item * stride, as: Word.self)
            unsafe to.storeBytes(of: word, toByteOffset: item * otherStride, as: Word.self)
        }
    }
}
