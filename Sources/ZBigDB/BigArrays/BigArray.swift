internal import VirtMem

/// An array of any size and rank, kept in a database.
///
/// The array *is* memory: its elements lie in mapped pages of the database
/// file, are loaded when they are touched, and are changed in place. Changes
/// are committed or aborted with everything else of the transaction.
///
/// There are two ways to its elements:
/// - scoped: ``read(_:as:)``, ``write(_:to:)``, ``withUnsafeBytes(of:_:)`` and their
///   kin load what they need first, so that every problem is a thrown error;
/// - lasting: ``view(_:as:)`` gives pointers that stay valid and follow the
///   transaction; see there for the limits.
public final class BigArray: PersistentObject {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.BigArray" }
    override var isSticky: Bool { true }

    /// The length of each axis.
    public private(set) var shape: [Int]
    /// The type of the elements.
    public private(set) var dtype: DType
    /// Which axis varies fastest in memory.
    public private(set) var order: Order
    /// Where its bytes are stored.
    public private(set) var file: ZBigFile

    /// A new array of zeros. Add it to a database before touching its elements.
    ///
    /// - Parameters:
    ///   - shape: the length of each axis.
    ///   - dtype: the type of the elements.
    ///   - order: which axis varies fastest.
    ///   - blockSize: bytes in a block: what is loaded and stored as a whole.
    ///   - compression: how its blocks are compressed in the file.
    /// - Throws: ``ArrayError/invalidShape(_:reason:)``, ``ArrayError/sizeOverflow(shape:itemSize:)``.
    public init(
        shape: [Int], dtype: DType, order: Order = .c, blockSize: Int = 2 << 20,
        compression: ArrayCompression = .none
    ) throws(ArrayError) {
        try ArrayShape.check(shape)
        guard dtype.itemSize > 0 else { throw .unsupportedDType("\(dtype), which has no bytes") }
        _ = try ArrayShape.byteCount(shape, itemSize: dtype.itemSize)
        self.shape = shape
        self.dtype = dtype
        self.order = order
        file = ZBigFile(blockSize: blockSize, compression: compression)
        super.init()
    }

    override class func ghost(_ oid: OID) -> PersistentObject { BigArray(ghost: oid) }

    override init(ghost oid: OID) {
        shape = []
        dtype = .uint8
        order = .c
        file = ZBigFile(blockSize: 0)
        super.init(ghost: oid)
    }

    // MARK: Facts

    /// The number of axes.
    public var rank: Int { shape.count }
    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Bytes of one element.
    public var itemSize: Int { dtype.itemSize }
    /// Bytes of all elements.
    public var byteCount: Int { count * itemSize }
    /// Bytes between neighbours on each axis.
    public var strides: [Int] { layout.strides }
    /// How its blocks are compressed in the file.
    public var compression: ArrayCompression { file.compression }
    /// The axis that grows when elements are appended: the first, or in Fortran order the last.
    public var majorAxis: Int? { order.majorAxis(rank: rank) }
    /// The length of the major axis; 1 without axes.
    public var length: Int { majorAxis.map { shape[$0] } ?? 1 }
    /// Where each element lies, from the start of the array.
    public var layout: StridedLayout {
        let strides = (try? ArrayShape.strides(shape, itemSize: itemSize, order: order)) ?? []
        return StridedLayout(trusted: shape, strides: strides, offset: 0, itemSize: itemSize)
    }

    // MARK: State

    override func encodeState(_ writer: inout CBORWriter, _ references: ReferenceEncoder) throws {
        writer.map(4)
        writer.text("shape")
        writer.array(shape.count)
        for length in shape { writer.integer(length) }
        writer.text("dtype")
        writer.text(dtype.description)
        writer.text("order")
        writer.text(order.description)
        writer.text("file")
        try references.encode(file, into: &writer)
    }

    override func decodeState(_ reader: inout CBORReader, _ references: ReferenceDecoder) throws {
        var order = Order.c  // states without an order are C (F38)
        var shape: [Int] = []
        var dtype: DType?
        var file: ZBigFile?
        for _ in 0..<(try reader.map()) {
            switch try reader.text() {
            case "shape": for _ in 0..<(try reader.array()) { shape.append(try reader.integer()) }
            case "dtype": dtype = try DType(descr: try reader.text())
            case "order": order = try reader.text() == Order.fortran.description ? .fortran : .c
            case "file": file = try references.decode(&reader) as? ZBigFile
            default: try reader.skip()
            }
        }
        guard let dtype, let file else {
            throw CBORReader.Malformed(description: "an array without dtype or file")
        }
        _ = try ArrayShape.byteCount(shape, itemSize: dtype.itemSize)
        try file.activate()
        self.shape = shape
        self.dtype = dtype
        self.order = order
        self.file = file
    }

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        _ = try builder.connection.adopt(file)
        try super.collectWrites(&builder)
    }

    /// The mapped memory of all elements.
    func memory() throws -> FileHandle { try memory(reaching: byteCount) }

    private func memory(reaching bytes: Int) throws -> FileHandle {
        guard let connection else { throw DatabaseError.notAdded(name: objectLabel) }
        try activate()
        // A new array's file gets its number with the first use.
        if file.oid == nil { _ = try connection.adopt(file) }
        return try file.memory(reaching: bytes, itemSize: itemSize)
    }

    // MARK: Shape

    /// Gives the array another shape over the same linear bytes.
    ///
    /// Larger: the new part reads as zeros, and nothing is stored for it. Smaller:
    /// what is cut off is gone, and reads as zeros if the array grows again.
    ///
    /// - Throws: ``ArrayError``, `VirtMemError.outOfReservation`, ``StorageError``.
    /// - Complexity: O(1) to grow, O(blocks cut off) to shrink.
    public func resize(_ newShape: [Int]) throws {
        try activate()
        let newBytes = try ArrayShape.byteCount(newShape, itemSize: itemSize)
        if newShape == shape { return }
        try willChange()
        if newBytes < byteCount, file.oid != nil { try file.drop(from: newBytes) }
        shape = newShape
    }

    /// Adds elements at the end of the major axis.
    ///
    /// - Parameters:
    ///   - values: whole rows (all of one index of the major axis), in C order of the rows' shape.
    /// - Throws: ``ArrayError/dtypeMismatch(expected:actual:)``, ``ArrayError/shapeMismatch(expected:actual:)``
    ///   if the values make no whole rows. The array is unchanged then.
    /// - Complexity: O(values), whatever the array's size.
    public func append<T: ArrayElement>(_ values: [T]) throws {
        try checkType(T.self)
        try unsafe values.withUnsafeBytes { try unsafe append(bytes: $0) }
    }

    /// Adds elements given as bytes, in C order of the rows' shape. See ``append(_:)``.
    public func append(bytes: UnsafeRawBufferPointer) throws {
        try activate()
        guard let axis = majorAxis else {
            throw ArrayError.invalidShape(shape, reason: "an array without axes cannot grow")
        }
        var row = shape
        row.remove(at: axis)
        let rowBytes = row.reduce(itemSize, *)
        guard unsafe rowBytes > 0 ? bytes.count % rowBytes == 0 : bytes.isEmpty else {
            throw ArrayError.shapeMismatch(expected: row, actual: [bytes.count / itemSize])
        }
        let rows = rowBytes > 0 ? bytes.count / rowBytes : 0
        if rows == 0 { return }
        var addedShape = shape
        addedShape[axis] = rows
        var newShape = shape
        newShape[axis] += rows
        let newBytes = try ArrayShape.byteCount(newShape, itemSize: itemSize)
        try willChange()
        let old = byteCount
        let source = try StridedLayout(shape: addedShape, itemSize: itemSize)
        let target = try StridedLayout(shape: addedShape, itemSize: itemSize, order: order)
        do {
            try unsafe memory(reaching: newBytes).withUnsafeMutableBytes(of: old..<newBytes) { memory in
                unsafe source.copyItems(from: bytes, to: memory, layout: target)
            }
        } catch {
            // Beyond its end an array is zeros, always.
            try? file.drop(from: old)
            throw error
        }
        shape = newShape
    }

    func checkType<T: ArrayElement>(_ type: T.Type) throws(ArrayError) {
        if T.dtype != dtype { throw .dtypeMismatch(expected: dtype, actual: T.dtype) }
    }
}

extension Connection {
    /// Makes an array of zeros, adds it, and calls it `name` in the root.
    ///
    /// - Parameters:
    ///   - name: the name in the root. An object that has it loses it.
    ///   - shape: elements along each axis.
    ///   - dtype: the type of the elements.
    ///   - order: which axis varies fastest in memory.
    ///   - compression: how its blocks are compressed; nil for the database's own.
    /// - Throws: ``ArrayError`` for an impossible shape, ``StorageError``.
    public func createArray(
        _ name: String, shape: [Int], dtype: DType, order: Order = .c, compression: ArrayCompression? = nil
    ) throws -> BigArray {
        let storage = try database.openStorage()
        let array = try BigArray(
            shape: shape, dtype: dtype, order: order, blockSize: storage.blockSize,
            compression: compression ?? storage.compression)
        try root.set(name, array)
        return array
    }

    /// Makes an array of zeros with elements of a Swift type.
    public func createArray<T: ArrayElement>(
        _ name: String, shape: [Int], of type: T.Type, order: Order = .c, compression: ArrayCompression? = nil
    ) throws -> BigArray {
        try createArray(name, shape: shape, dtype: T.dtype, order: order, compression: compression)
    }
}
