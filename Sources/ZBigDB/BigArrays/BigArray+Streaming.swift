internal import VirtMem

extension BigArray {
    /// Calls `body` with all bytes of the array in the order of its memory, in pieces.
    ///
    /// For going once through an array of any size: nothing is mapped and no memory taken, since
    /// clean bytes are handed out where the database file has them, and what comes next is
    /// read from the disk meanwhile. Changes of this transaction are seen.
    ///
    /// Pieces begin and end at pages, or at the end of the array; they have 2 MiB at most. An
    /// element whose size does not divide a page may be in two.
    ///
    /// - Parameters:
    ///   - bytes: which bytes; all if nil. What lies outside the array is passed over.
    ///   - body: gets where the piece begins in the array, and the piece, which is valid during
    ///     the call. It must not commit or otherwise change a database.
    /// - Throws: ``StorageError``, what `body` throws.
    /// - Complexity: O(bytes).
    public func forEachPiece(
        of bytes: Range<Int>? = nil, _ body: (_ offset: Int, _ piece: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try activate()
        let all = 0..<byteCount
        let wanted = (bytes ?? all).clamped(to: all)
        if wanted.isEmpty { return }
        let memory = try memory()
        let stream = try ArrayStream(file, memory)
        unsafe try stream.run(wanted, body)
    }

    /// Calls `body` with all elements in the order of their memory, in pieces. See ``forEachPiece(of:_:)``.
    ///
    /// - Parameters:
    ///   - type: that of the array's elements.
    ///   - body: gets the number of the first element of the piece, in the order of the
    ///     memory, and the elements.
    /// - Throws: ``ArrayError/dtypeMismatch(expected:actual:)``, and as ``forEachPiece(of:_:)``.
    public func forEachPiece<T: ArrayElement>(
        as type: T.Type, _ body: (_ first: Int, _ elements: UnsafeBufferPointer<T>) throws -> Void
    ) throws {
        try checkType(T.self)
        let size = itemSize
        try unsafe forEachPiece { offset, piece in
            try unsafe piece.withMemoryRebound(to: T.self) { try unsafe body(offset / size, $0) }
        }
    }
}
