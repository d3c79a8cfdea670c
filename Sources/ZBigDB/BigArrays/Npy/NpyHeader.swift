/// What stands before the items in an `.npy` file.
///
/// A reader that has only the start of a file asks ``headerLength(prefix:)`` with the first
/// ``prefixLength`` bytes how many bytes the whole header has, and parses that many. The items
/// follow at ``dataOffset``. A writer creates a header and writes ``encoded()``: the bytes
/// `numpy.save` writes for the same array.
///
/// ```swift
/// let length = try NpyHeader.headerLength(prefix: read(NpyHeader.prefixLength))
/// let header = try NpyHeader(parsing: read(length))
/// ```
public struct NpyHeader: Hashable, Sendable {
    /// The first bytes of every `.npy` file.
    public static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    /// The number of bytes ``headerLength(prefix:)`` needs in all cases.
    public static let prefixLength = 12
    /// Longer headers are refused; NumPy itself refuses to read more than 10 000 characters unasked.
    public static let maximumLength = 1 << 24

    /// The major version of the format: 1, 2 or 3.
    public let version: UInt8
    /// The type of the items once they are in little-endian order.
    public let dtype: DType
    /// The order of the items in the file.
    public let order: Order
    /// The length of each axis.
    public let shape: [Int]
    /// Where the items start in the file, in bytes.
    public let dataOffset: Int
    /// What turns the items of the file into ``dtype``.
    public let byteSwap: ByteSwap

    /// True when items, or some fields of them, are big endian in the file: apply ``byteSwap``.
    public var bigEndian: Bool { !byteSwap.isIdentity }

    /// The number of items.
    public var count: Int { shape.contains(0) ? 0 : shape.reduce(1, *) }

    /// The number of bytes all items take in the file.
    public var dataByteCount: Int { count * dtype.itemSize }

    /// The layout of the items, counted from ``dataOffset``.
    public var layout: StridedLayout {
        guard let layout = try? StridedLayout(shape: shape, itemSize: dtype.itemSize, order: order) else {
            preconditionFailure("the sizes were checked when the header was made")
        }
        return layout
    }

    /// Creates the header of a file to write.
    ///
    /// - Throws: an error about the shape, or ``ArrayError/invalidNpy(reason:)`` when the element type
    ///   needs a header longer than ``maximumLength``.
    public init(
        dtype: DType, shape: [Int], order: Order = .c, bigEndian: Bool = false
    ) throws(ArrayError) {
        let swap = ByteSwap(dtype, plan: bigEndian ? ByteSwap.Plan(dtype) : .identity)
        // The sizes must be exact, and so must everything that is computed from them later.
        _ = try StridedLayout(shape: shape, itemSize: dtype.itemSize, order: order)
        let written = NpyHeader.written(order, shape: shape)
        let bytes = NpyHeader.encode(dtype: dtype, plan: swap.plan, order: written, shape: shape)
        guard bytes.count <= NpyHeader.maximumLength else {
            throw .invalidNpy(reason: "the header for this element type would have \(bytes.count) bytes")
        }
        self.init(
            version: bytes[6], dtype: dtype, order: written, shape: shape, dataOffset: bytes.count,
            byteSwap: swap)
    }

    init(
        version: UInt8, dtype: DType, order: Order, shape: [Int], dataOffset: Int, byteSwap: ByteSwap
    ) {
        self.version = version
        self.dtype = dtype
        self.order = order
        self.shape = shape
        self.dataOffset = dataOffset
        self.byteSwap = byteSwap
    }
}
