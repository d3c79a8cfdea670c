/// Which axis of an array varies fastest in memory.
///
/// The order decides the strides of a new array and the axis along which it
/// grows. It is a property of its own: shapes such as `(1, n)` or `(n, 0)` have
/// strides that fit both orders, so it cannot be read back from them.
public enum Order: UInt8, Hashable, Sendable, CustomStringConvertible {
    /// Row major: the last axis is the fastest, the first is the major one.
    case c = 0
    /// Column major: the first axis is the fastest, the last is the major one.
    case fortran = 1

    /// The axis along which an array of `rank` axes grows, or nil for a scalar.
    @inlinable
    public func majorAxis(rank: Int) -> Int? {
        guard rank > 0 else { return nil }
        return self == .c ? 0 : rank - 1
    }

    /// `C` or `F`, as NumPy writes it.
    public var description: String {
        self == .c ? "C" : "F"
    }
}
