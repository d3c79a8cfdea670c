#if canImport(Glibc)
    internal import Glibc
#endif

/// A file that is read front to back.
final class InputFile {
    let path: String
    /// Bytes it has.
    let count: Int
    private let descriptor: Int32

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
        var code: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, filled in
            while filled < limit {
                let got = unsafe Glibc.read(
                    descriptor, buffer.baseAddress?.advanced(by: filled), limit - filled)
                if got < 0, errno == EINTR { continue }
                if got < 0 { code = errno }
                if got <= 0 { return }
                filled += got
            }
        }
        if code != 0 { throw LMDBCode.error(code, path, "reading the file") }
        return bytes
    }
}
