#if canImport(Glibc)
    internal import Glibc
#endif

/// A new file that has its name once it is complete and on the disk; until then it is a draft beside it, which
/// goes if nothing comes of it.
final class DraftFile {
    let path: String
    let descriptor: Int32
    /// What it is called in errors.
    private let what: String
    private let draft: String
    private var isFinished = false

    /// - Throws: ``StorageError/exists(path:)``, among others.
    init(_ path: String, what: String) throws(StorageError) {
        self.path = path
        self.what = what
        if unsafe access(path, F_OK) == 0 { throw .exists(path: path) }
        draft = "\(path).\(getpid()).new"
        descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LMDBCode.error(errno, path, "making the \(what)") }
    }

    deinit {
        close(descriptor)
        if !isFinished { unsafe unlink(draft) }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        guard writeWhole(bytes, at: offset, to: descriptor) else { throw failure }
    }

    /// Puts all of it on the disk, under its name.
    func finish() throws(StorageError) {
        guard fsync(descriptor) == 0, unsafe rename(draft, path) == 0 else { throw failure }
        isFinished = true
        flushFolder(of: path)
    }

    /// Why writing failed, as the system says.
    var failure: StorageError { LMDBCode.error(errno, path, "writing the \(what)") }
}
