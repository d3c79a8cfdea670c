/// What went wrong with the file of a database, and what to do.
public enum StorageError: Error, Equatable, CustomStringConvertible {
    /// There is no such file.
    case notFound(path: String)
    /// The file is there already and was to be created.
    case exists(path: String)
    /// The system refuses access to the file or its folder.
    case permissionDenied(path: String, doing: String)
    /// The file is something else: garbage, a foreign LMDB file, a folder.
    case notADatabase(path: String, reason: String)
    /// The file was written in a format this version does not know.
    case unsupportedVersion(path: String, found: UInt32, supported: UInt32)
    /// The file is shorter than it says it is.
    case truncated(path: String, size: Int, expected: Int)
    /// Stored bytes contradict themselves.
    case corrupt(path: String, what: String)
    /// The file may not grow past the configured limit.
    case full(path: String, limit: Int)
    /// The disk is full, or a quota is used up.
    case diskFull(path: String)
    /// Too many snapshots are open at once in all processes.
    case tooManyReaders(path: String)
    /// The database was opened for reading only.
    case readOnly(path: String)
    /// This process has the file open already.
    case alreadyOpen(path: String)
    /// The file is being rewritten, or is to be rewritten while others have it open.
    case inUse(path: String)
    /// A process that wrote to the file was killed, and what it committed last is still in the journal.
    case needsRecovery(path: String)
    /// The journal beside the file continues another state than the file ever had.
    case foreignJournal(path: String, journal: String)
    /// The process is a child of `fork()`: it must call exec before it uses a database.
    case forkedChild(path: String)
    /// A name or key is longer than the file format takes.
    case keyTooLong(length: Int, limit: Int)
    /// A call came in an order, or on a thread, that the two-phase protocol forbids.
    case protocolViolation(String)
    /// A transaction that said yes and was never decided wants to change the same thing.
    case inDoubt(path: String, oid: OID, part: String, transaction: TransactionID)
    /// The system refused something else.
    case system(path: String, doing: String, errno: Int32)
    /// LMDB refused something else.
    case engine(path: String, doing: String, code: Int32)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .notFound(let path):
            return "\(path): no such database; create it first"
        case .exists(let path):
            return "\(path): the file exists already; choose another name or open it"
        case .permissionDenied(let path, let doing):
            return
                "\(path): no permission \(doing); check the rights of the file, its \"-lock\" file and its folder"
        case .notADatabase(let path, let reason):
            return "\(path): not a ZBigDB database: \(reason)"
        case .unsupportedVersion(let path, let found, let supported):
            return "\(path): format version \(found); this program reads version \(supported); "
                + "use the program that wrote it or a newer one"
        case .truncated(let path, let size, let expected):
            return "\(path): the file has \(size) bytes but its content needs \(expected): it was cut off; "
                + "restore it from a copy"
        case .corrupt(let path, let what):
            return "\(path): damaged: \(what); run verify, and restore from a copy"
        case .full(let path, let limit):
            return "\(path): the database may not grow past \(limit) bytes; raise maximumSize"
        case .diskFull(let path):
            return
                "\(path): no space left on the disk, nothing of this transaction was stored; make room and retry"
        case .tooManyReaders(let path):
            return
                "\(path): too many snapshots are open in all processes; close some connections or raise maximumReaders"
        case .readOnly(let path):
            return "\(path): opened for reading only"
        case .alreadyOpen(let path):
            return "\(path): this process has it open already; share that Database, it is Sendable"
        case .inUse(let path):
            return
                "\(path): in use: a file that is being rewritten cannot be opened, nor one rewritten that is "
                + "open elsewhere; close it there, or wait, and try again"
        case .needsRecovery(let path):
            return
                "\(path): its last transactions are in the journal, which only a program that may write can bring in; "
                + "open it for writing once"
        case .foreignJournal(let path, let journal):
            return
                "\(path): the journal \(journal) belongs to another file or to another state of this one; "
                + "bring back the file it was written for, or move the journal away if this file is a copy"
        case .forkedChild(let path):
            return
                "\(path): this is a child of fork(), in which a database cannot be used; call exec first"
        case .keyTooLong(let length, let limit):
            return "a key of \(length) bytes is too long; at most \(limit) bytes fit"
        case .protocolViolation(let what):
            return what
        case .inDoubt(let path, let oid, let part, let transaction):
            return
                "\(path): object \(oid), \(part) is part of transaction \(transaction), which is in doubt; "
                + "decide it with resolve"
        case .system(let path, let doing, let code):
            return "\(path): \(doing) failed: \(systemText(code))"
        case .engine(let path, let doing, let code):
            return "\(path): \(doing) failed: \(LMDBCode.text(code))"
        }
    }
}

/// Another transaction changed what this one read or changed. Abort and try again.
public struct ConflictError: Error, Equatable, CustomStringConvertible {
    /// The object both changed.
    public let oid: OID
    /// The class of the object, if known.
    public var className: String?
    /// What of the object: a block of an array, an entry of a map, or the object's own state.
    public let part: String
    /// The version this transaction started from; nil if there was none.
    public let base: TID?
    /// The version that is there now; nil if it was removed.
    public let current: TID?

    /// A sentence for people.
    public var description: String {
        let name = className.map { "\($0) " } ?? "object "
        let from = base.map { "version \($0)" } ?? "nothing"
        let to = current.map { "version \($0)" } ?? "nothing"
        return "conflict on \(name)\(oid), \(part): this transaction started from \(from), "
            + "another one committed \(to); abort and try again"
    }
}
