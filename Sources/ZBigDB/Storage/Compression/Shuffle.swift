internal import CShuffle

/// The first bytes of all elements, then the second bytes, and so on.
enum Shuffle {
    /// The runs must have the same length.
    static func split(
        _ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer, elementSize: Int
    ) {
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe cshuffle_split(from, to, min(source.count, target.count), elementSize)
    }

    /// The reverse.
    static func join(
        _ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer, elementSize: Int
    ) {
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe cshuffle_join(from, to, min(source.count, target.count), elementSize)
    }
}
