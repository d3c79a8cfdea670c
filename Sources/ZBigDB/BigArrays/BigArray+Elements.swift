internal import VirtMem

// Scoped access: what is touched is loaded first, so every problem is a thrown
// error, and the memory may be handed to system calls.

extension BigArray {
    /// Runs `body` with bytes of the array as they lie in memory.
    ///
    /// - Parameters:
    ///   - range: bytes from the start of the array; nil for all of it.
    ///   - body: gets the bytes, which are valid during the call.
    /// - Throws: `VirtMemError.loadFailed`, ``ArrayError/layoutOutOfBounds(reason:)``.
    public func withUnsafeBytes<R>(
        of range: Range<Int>? = nil, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        let range = try checked(range)
        return try unsafe memory().withUnsafeBytes(of: range, body)
    }

    /// Runs `body` with bytes of the array, to be changed in place.
    public func withUnsafeMutableBytes<R>(
        of range: Range<Int>? = nil, _ body: (UnsafeMutableRawBufferPointer) throws -> R
    ) throws -> R {
        let range = try checked(range)
        try requireWritable()
        return try unsafe memory().withUnsafeMutableBytes(of: range, body)
    }

    private func checked(_ range: Range<Int>?) throws -> Range<Int> {
        let range = range ?? 0..<byteCount
        guard range.lowerBound >= 0, range.upperBound <= byteCount else {
            throw ArrayError.layoutOutOfBounds(
                reason: "bytes \(range.lowerBound)..<\(range.upperBound) of an array of \(byteCount)")
        }
        return range
    }

    private func requireWritable() throws {
        guard let connection else { return }
        if connection.database.configuration.isReadOnly { throw StorageError.readOnly(path: connection.path) }
        try connection.requireChangeable()
    }

    /// A part of the array, by NumPy's rules of basic slicing.
    ///
    /// - Throws: ``ArrayError`` for an index out of range or too many of them.
    public func slice(_ expression: SliceExpression) throws(ArrayError) -> BigArraySlice {
        BigArraySlice(array: self, layout: try layout.applying(expression), dtype: dtype)
    }

    /// All of it, as a slice.
    public var all: BigArraySlice { BigArraySlice(array: self, layout: layout, dtype: dtype) }

    /// The elements of a slice, in C order.
    ///
    /// - Throws: ``ArrayError/dtypeMismatch(expected:actual:)`` and what loading throws.
    public func read<T: ArrayElement>(_ expression: SliceExpression = [.ellipsis], as type: T.Type) throws
        -> [T]
    {
        try slice(expression).values(as: type)
    }

    /// Stores `values`, in C order, into a slice of as many elements.
    ///
    /// - Throws: ``ArrayError/shapeMismatch(expected:actual:)`` with nothing changed, if the counts differ.
    public func write<T: ArrayElement>(_ values: [T], to expression: SliceExpression = [.ellipsis]) throws {
        try slice(expression).set(values)
    }

    /// Stores `value` into every element of a slice.
    public func fill<T: ArrayElement>(_ expression: SliceExpression = [.ellipsis], with value: T) throws {
        try slice(expression).fill(value)
    }

    /// One element.
    public func element<T: ArrayElement>(_ indices: Int..., as type: T.Type) throws -> T {
        try checkType(type)
        let at = try layout.byteOffset(of: indices)
        return try unsafe withUnsafeBytes(of: at..<(at + itemSize)) { unsafe $0.loadUnaligned(as: T.self) }
    }

    /// Changes one element.
    public func setElement<T: ArrayElement>(_ indices: Int..., to value: T) throws {
        try checkType(T.self)
        let at = try layout.byteOffset(of: indices)
        try unsafe withUnsafeMutableBytes(of: at..<(at + itemSize)) {
            unsafe $0.storeBytes(of: value, as: T.self)
        }
    }
}
