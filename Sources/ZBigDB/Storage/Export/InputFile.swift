#if canImport(Glibc)
    internal import Glibc
#endif

/// A file that is read front to back.
final class InputFile {
    let path: String
    /// Bytes it has.
    let count: Int
    private let descriptor: Int32
    private var position = 0

    /// - Throws: ``StorageError/notFound(path:)``, among others.
    init(_ path: String) throws(StorageError) {
        self.path = path
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBCode.error(errno, path, "opening the file") }
        var status = stat()
        unsafe fstat(descriptor, &status)
        count = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// The next bytes: at most `limit`, none at the end.
    func read(_ limit: Int) throws(StorageError) -> [UInt8] {
        guard let bytes = readWhole(limit, at: position, from: descriptor) else {
            throw LMDBCode.error(errno, path, "reading the file")
        }
        position += bytes.count
        return bytes
    }
}
