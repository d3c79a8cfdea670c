import ZBigDB

/// Writes an array as an `.npy` file: straight from its memory.
enum NpyExport {
    private static let pieceBytes = 4 << 20

    /// - Returns: the size of the file.
    /// - Throws: ``ToolError``, ``Interrupted``, and what loading throws.
    static func run(_ array: BigArray, name: String, to path: String) throws -> Int {
        let header = try NpyHeader(dtype: array.dtype, shape: array.shape, order: array.order).encoded()
        var file = try OutputFile(path)
        try header.withUnsafeBytes { try file.write($0) }
        var progress = ProgressBar("exporting \(name)", total: array.byteCount)
        for start in stride(from: 0, to: array.byteCount, by: pieceBytes) {
            try Interruption.check()
            let range = start..<min(start + pieceBytes, array.byteCount)
            try array.withUnsafeBytes(of: range) { try file.write($0) }
            progress.update(range.upperBound)
        }
        try file.finish()
        return header.count + array.byteCount
    }
}
