/// A Swift type whose values are the items of an array.
///
/// Only types whose memory is their value conform: items are read from mapped
/// pages without any decoding.
public protocol ArrayElement: BitwiseCopyable, Sendable {
    /// The element type an array needs for its items to be read as `Self`.
    static var dtype: DType { get }
}

extension Int8: ArrayElement {
    /// `|i1`.
    public static var dtype: DType { .int8 }
}

extension Int16: ArrayElement {
    /// `<i2`.
    public static var dtype: DType { .int16 }
}

extension Int32: ArrayElement {
    /// `<i4`.
    public static var dtype: DType { .int32 }
}

extension Int64: ArrayElement {
    /// `<i8`.
    public static var dtype: DType { .int64 }
}

extension Int: ArrayElement {
    /// `<i8`.
    public static var dtype: DType { .int64 }
}

extension UInt8: ArrayElement {
    /// `|u1`.
    public static var dtype: DType { .uint8 }
}

extension UInt16: ArrayElement {
    /// `<u2`.
    public static var dtype: DType { .uint16 }
}

extension UInt32: ArrayElement {
    /// `<u4`.
    public static var dtype: DType { .uint32 }
}

extension UInt64: ArrayElement {
    /// `<u8`.
    public static var dtype: DType { .uint64 }
}

extension UInt: ArrayElement {
    /// `<u8`.
    public static var dtype: DType { .uint64 }
}

extension Float16: ArrayElement {
    /// `<f2`.
    public static var dtype: DType { .float16 }
}

extension Float: ArrayElement {
    /// `<f4`.
    public static var dtype: DType { .float32 }
}

extension Double: ArrayElement {
    /// `<f8`.
    public static var dtype: DType { .float64 }
}

/// The byte of a `Bool` must be 0 or 1. NumPy writes nothing else, but bytes
/// from a foreign source should be checked before they are read as `Bool`.
extension Bool: ArrayElement {
    /// `|b1`.
    public static var dtype: DType { .bool }
}
