/// What a database cannot do with its past.
public enum HistoryError: Error, Equatable, CustomStringConvertible {
    /// The database keeps no old versions: only what its last transaction left can be looked at.
    case noHistory(path: String, last: TID)
    /// What was there at that moment is not kept any more, or never was; `oldest` is the oldest that can be looked at.
    case notKept(path: String, moment: TID, oldest: TID)
    /// The moment has not come yet.
    case future(path: String, moment: TID, last: TID)
    /// The past cannot be changed: the connection shows the database as of `tid`.
    case readOnly(path: String, tid: TID)

    /// There is no such transaction.
    case noTransaction(path: String, tid: TID)
    /// The database is being packed already.
    case packing(path: String)
    /// No moment has this name.
    case noSuchTag(path: String, name: String)
    /// A moment has this name already.
    case tagExists(path: String, name: String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .noHistory(let path, let last):
            return
                "\(path): the database keeps no history: only its last transaction \(last) can be looked at, and "
                + "nothing undone; create databases with keepsHistory to have both"
        case .notKept(let path, let moment, let oldest):
            return
                "\(path): what was there at \(moment) is not kept; the oldest that can be looked at is \(oldest)"
        case .future(let path, let moment, let last):
            return "\(path): \(moment) has not come yet; the last transaction is \(last)"
        case .readOnly(let path, let tid):
            return "\(path): the connection shows the database as of \(tid), and the past cannot be changed; "
                + "use a connection without a moment for changes"
        case .noTransaction(let path, let tid): return "\(path): there is no transaction \(tid); see the log"
        case .packing(let path):
            return "\(path): the database is being packed already; wait until that has ended"
        case .noSuchTag(let path, let name): return "\(path): there is no tag \"\(name)\""
        case .tagExists(let path, let name):
            return "\(path): there is a tag \"\(name)\" already; choose another name, or remove it"
        }
    }
}
