/// A database was asked for something it does not have or may not do.
public enum DatabaseError: Error, CustomStringConvertible {
    /// The database was closed.
    case databaseClosed(path: String)
    /// The connection was closed; `what` still wanted something of it.
    case connectionClosed(what: String)
    /// The connection cannot be closed while it has changes; commit or abort first.
    case uncommittedChanges(path: String)
    /// Something was changed in a transaction that only reads; the change was dropped.
    case changedWhileReading(path: String)
    /// The database cannot be closed while connections are open.
    case connectionsOpen(path: String, count: Int)
    /// No object has this number in this snapshot.
    case missingObject(path: String, oid: OID)
    /// The root has no such name.
    case missingName(path: String, name: String)
    /// The name belongs to an object of another class.
    case wrongClass(what: String, expected: String, found: String)
    /// The transaction is committed, but the connection could not move to a new
    /// snapshot; begin or abort moves it once the cause is gone.
    case committedButNotMoved(path: String, tid: TID, cause: any Error)
    /// The object's record cannot be read.
    case unreadable(path: String, oid: OID, reason: String)
    /// The object's state was written by a newer version of its class.
    case newerState(path: String, oid: OID, className: String, found: Int, known: Int)
    /// The object belongs to another connection, perhaps of another database.
    case foreignObject(name: String, path: String)
    /// The object is in no database yet; add it to a connection first.
    case notAdded(name: String)
    /// The object was imported in a transaction that was aborted or rolled back; import it again.
    case importTakenBack(name: String)
    /// A list has no element, or no place to insert one, at this index.
    case indexOutOfRange(what: String, index: Int, count: Int)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .databaseClosed(let path): return "\(path): the database is closed"
        case .connectionClosed(let what): return "\(what): its connection is closed"
        case .uncommittedChanges(let path):
            return "\(path): the connection has changes; commit or abort them before closing it"
        case .changedWhileReading(let path):
            return "\(path): something was changed while reading, and dropped; use write for changes"
        case .connectionsOpen(let path, let count):
            return "\(path): \(count) connection(s) are open; close them first"
        case .missingObject(let path, let oid): return "\(path): there is no object \(oid)"
        case .missingName(let path, let name): return "\(path): there is no \"\(name)\""
        case .wrongClass(let what, let expected, let found): return "\(what) is a \(found), not a \(expected)"
        case .committedButNotMoved(let path, let tid, let cause):
            return
                "\(path): transaction \(tid) is committed, but the connection still shows the state before: \(cause); "
                + "begin a transaction once the cause is gone"
        case .newerState(let path, let oid, let className, let found, let known):
            return
                "\(path): object \(oid) is a \(className) of form \(found), this program knows form \(known); "
                + "use the program that wrote it or a newer one"
        case .unreadable(let path, let oid, let reason):
            return "\(path): object \(oid) cannot be read: \(reason); run verify"
        case .foreignObject(let name, let path):
            return "\(name) belongs to another connection (of \(path)); objects are not shared between "
                + "connections, nor referred to from one database in another"
        case .indexOutOfRange(let what, let index, let count):
            return "index \(index) is out of range: \(what) has \(count) element(s)"
        case .importTakenBack(let name):
            return "\(name) was imported in a transaction that was taken back; import it again"
        case .notAdded(let name): return "\(name) is in no database yet; add it to a connection first"
        }
    }
}
