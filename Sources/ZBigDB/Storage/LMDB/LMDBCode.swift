internal import CLMDB

#if canImport(Glibc)
    internal import Glibc
#endif

/// LMDB's return codes, as text and as typed errors.
enum LMDBCode {
    static func text(_ code: Int32) -> String {
        unsafe mdb_strerror(code).map { unsafe String(cString: $0) } ?? "code \(code)"
    }

    /// The typed error for a failed call.
    static func error(_ code: Int32, _ path: String, _ doing: String) -> StorageError {
        switch code {
        case ENOENT: return .notFound(path: path)
        case EACCES, EPERM, EROFS: return .permissionDenied(path: path, doing: doing)
        case ENOSPC, EDQUOT: return .diskFull(path: path)
        case MDB_INVALID: return .notADatabase(path: path, reason: "it does not begin like an LMDB file")
        case MDB_VERSION_MISMATCH:
            return .notADatabase(path: path, reason: "it was written by an incompatible version of LMDB")
        case MDB_READERS_FULL: return .tooManyReaders(path: path)
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC:
            return .corrupt(path: path, what: "\(doing): \(text(code))")
        case MDB_BAD_VALSIZE: return .keyTooLong(length: 512, limit: 511)
        default:
            return code > 0
                ? .system(path: path, doing: doing, errno: code)
                : .engine(path: path, doing: doing, code: code)
        }
    }
}

/// The system's own text for an error number.
func systemText(_ code: Int32) -> String {
    unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
}
