import ZBigDB

/// Brings an `.npy` file into a database: read straight into the memory of the array.
struct NpyImport {
    /// What was imported.
    struct Result {
        let header: NpyHeader
        /// Bytes after the items, which `.npy` does not define; NumPy passes over them too.
        let extraBytes: Int
    }

    private static let pieceBytes = 4 << 20

    /// Makes the array `name` of the file, and leaves the commit to the caller.
    ///
    /// - Throws: ``ToolError``, ``Interrupted``, `ArrayError.truncatedNpy` for a file that ends too
    ///   early, `ArrayError` for what is no `.npy` file, and what storing throws.
    static func run(
        _ file: borrowing InputFile, as name: String, into connection: Connection,
        compression: ArrayCompression? = nil
    ) throws -> Result {
        let header = try readHeader(file)
        var extraBytes = 0
        if let length = file.length {
            extraBytes = length - header.dataOffset - header.dataByteCount
            guard extraBytes >= 0 else {
                throw ArrayError.truncatedNpy(
                    needed: header.dataOffset + header.dataByteCount, available: length)
            }
        }
        let array = try connection.createArray(
            name, shape: header.shape, dtype: header.dtype, order: header.order,
            compression: compression)
        let bools = BoolCheck(header.dtype, file: file.path)
        let size = header.dtype.itemSize
        let step = max(1, pieceBytes / size) * size
        var progress = ProgressBar("importing \(name)", total: header.dataByteCount)
        for start in stride(from: 0, to: header.dataByteCount, by: step) {
            try Interruption.check()
            let range = start..<min(start + step, header.dataByteCount)
            try array.withUnsafeMutableBytes(of: range) { bytes in
                let count = try file.read(into: bytes)
                guard count == bytes.count else {
                    throw ArrayError.truncatedNpy(
                        needed: header.dataOffset + header.dataByteCount,
                        available: header.dataOffset + start + count)
                }
                header.byteSwap.swap(bytes)
                try bools?.check(UnsafeRawBufferPointer(bytes), firstItem: start / size)
            }
            progress.update(range.upperBound)
        }
        return Result(header: header, extraBytes: extraBytes)
    }

    private static func readHeader(_ file: borrowing InputFile) throws -> NpyHeader {
        let prefix = try file.read(NpyHeader.prefixLength)
        let length = try NpyHeader.headerLength(prefix: prefix)
        guard prefix.count == NpyHeader.prefixLength else {
            throw ArrayError.truncatedNpy(needed: length, available: prefix.count)
        }
        // The header may be shorter than what was read only if it is no header.
        return try NpyHeader(parsing: prefix + file.read(max(0, length - prefix.count)))
    }
}

/// Finds bytes that are no truth values where truth values belong.
private struct BoolCheck {
    private let file: String
    private let itemSize: Int
    /// Where the truth values of an item lie.
    private let places: [Range<Int>]

    /// Nil if items have no truth values.
    init?(_ dtype: DType, file: String) {
        places = Self.places(dtype, at: 0)
        if places.isEmpty { return nil }
        self.file = file
        itemSize = dtype.itemSize
    }

    private static func places(_ dtype: DType, at offset: Int) -> [Range<Int>] {
        if dtype == .bool { return [offset..<offset + 1] }
        return dtype.fields.flatMap { field -> [Range<Int>] in
            let count = field.shape.reduce(1, *)
            let start = offset + field.offset
            if field.dtype == .bool { return count > 0 ? [start..<start + count] : [] }
            if field.dtype.fields.isEmpty { return [] }
            return (0..<count).flatMap { places(field.dtype, at: start + $0 * field.dtype.itemSize) }
        }
    }

    func check(_ bytes: UnsafeRawBufferPointer, firstItem: Int) throws {
        if itemSize == 1 {
            // Most often all is well: one loop without a branch.
            var all: UInt8 = 0
            for byte in bytes { all |= byte }
            if all <= 1 { return }
        }
        for item in 0..<(bytes.count / itemSize) {
            for place in places {
                for byte in bytes[item * itemSize + place.lowerBound..<item * itemSize + place.upperBound]
                where byte > 1 {
                    throw ToolError.invalidBool(file: file, item: firstItem + item, byte: byte)
                }
            }
        }
    }
}
