/// A file that is written front to back.
final class OutputFile {
    private static let bufferSize = 1 << 20

    private let file: DraftFile
    private var buffer: [UInt8] = []
    /// Bytes handed over so far.
    private(set) var count = 0
    /// The checksum of all of them.
    private(set) var checksum: UInt32 = 0

    /// - Throws: ``StorageError/exists(path:)``, among others.
    init(_ path: String) throws(StorageError) { file = try DraftFile(path, what: "file") }

    func append(_ bytes: [UInt8]) throws(StorageError) {
        checksum = CRC32C.checksum(bytes, seed: checksum)
        count += bytes.count
        buffer += bytes
        if buffer.count >= Self.bufferSize { try writeBuffer() }
    }

    private func writeBuffer() throws(StorageError) {
        try file.write(buffer, at: count - buffer.count)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Puts all of it on the disk, under its name.
    func finish() throws(StorageError) {
        try writeBuffer()
        try file.finish()
    }
}
