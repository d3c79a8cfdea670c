#if canImport(Glibc)
    internal import Glibc
#endif

/// A file that is written front to back. It has its name once it is complete and on the disk; until then it
/// is a draft beside it, which goes if nothing comes of it.
final class OutputFile {
    private static let bufferSize = 1 << 20

    let path: String
    private let draft: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isFinished = false
    /// Bytes handed over so far.
    private(set) var count = 0
    /// The checksum of all of them.
    private(set) var checksum: UInt32 = 0

    /// - Throws: ``StorageError/exists(path:)``, among others.
    init(_ path: String) throws(StorageError) {
        self.path = path
        if unsafe access(path, F_OK) == 0 { throw .exists(path: path) }
        draft = "\(path).\(getpid()).new"
        descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LMDBCode.error(errno, path, "making the file") }
    }

    deinit {
        close(descriptor)
        if !isFinished { unsafe unlink(draft) }
    }

    func append(_ bytes: [UInt8]) throws(StorageError) {
        checksum = CRC32C.checksum(bytes, seed: checksum)
        count += bytes.count
        buffer += bytes
        if buffer.count >= Self.bufferSize { try writeBuffer() }
    }

    private func writeBuffer() throws(StorageError) {
        guard writeWhole(buffer, at: count - buffer.count, to: descriptor) else {
            throw LMDBCode.error(errno, path, "writing the file")
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Puts all of it on the disk, under its name.
    func finish() throws(StorageError) {
        try writeBuffer()
        guard fsync(descriptor) == 0, unsafe rename(draft, path) == 0 else {
            throw LMDBCode.error(errno, path, "writing the file")
        }
        isFinished = true
        flushFolder(of: path)
    }
}
