internal import VirtMem

/// A view of a database at one moment, and the changes made to it.
///
/// What it shows is the database as of the last transaction boundary: its
/// begin, commit or abort. What others commit is seen after the next boundary
/// and never before. A connection, with all its objects and arrays, belongs to
/// one task at a time.
public final class Connection {
    /// The database it looks at.
    public var database: Database {
        guard let heldDatabase else { preconditionFailure("an idle connection is asked for its database") }
        return heldDatabase
    }
    /// The database's file.
    public let path: String
    /// Nil while it waits in the database's pool, which must not keep the database open.
    var heldDatabase: Database?
    /// Hands out the transactions it takes part in.
    public let transactionManager: TransactionManager
    /// The moment of the past it shows, and cannot change; nil if it shows what is there now.
    public let moment: Moment?
    /// Whether it was closed.
    public private(set) var isClosed = false

    /// Let go of at the end of use, so that a closed connection does not keep the file open.
    private var openStorage: (any RecordStorage)?
    let box: SnapshotBox
    /// Takes blocks that are stored ahead of the commit.
    let ahead: AheadWriter
    private let number: Int
    private var rootObject: Root

    /// One instance for each number.
    var instances = InstanceTable()
    /// Numbers for new objects.
    private var numbers: Range<UInt64> = 0..<0
    private var numberRun = 4
    private var lastLayout: ClassLayout?
    /// Array files with an open handle. Their memory may be changed without a
    /// call, so they are held until a boundary finds them clean and unused.
    var openFiles: [OID: ZBigFile] = [:]

    // This transaction.
    var changed: [PersistentObject] = []
    var added: [PersistentObject] = []
    var readings: [OID: TID?] = [:]
    var commit = CommitState()
    /// Where it stopped looking, while it waits in the pool.
    var parkedAt: TID?
    /// Why changes of objects could not be registered; the next commit or begin says so.
    var deferredFailure: (any Error)?

    /// What the phases of a commit hand to each other.
    struct CommitState {
        var isJoined = false
        var request: CommitRequest?
        var writer: (any BlockWriter)?
        /// Objects whose state is part of the request.
        var written: [PersistentObject] = []
        /// Objects whose changes were brought together with those of others.
        var resolved: Set<OID> = []
        var prepared: (any PreparedCommit)?
        var committedTID: TID?
    }

    init(
        _ database: Database, _ storage: any RecordStorage, _ manager: TransactionManager, number: Int,
        at moment: Moment?
    ) throws {
        heldDatabase = database
        path = database.path
        openStorage = storage
        ahead = AheadWriter(storage)
        self.number = number
        transactionManager = manager
        instances.limits.objects = database.configuration.cachedObjects
        instances.limits.bytes = database.configuration.cachedBytes
        self.moment = moment
        box = SnapshotBox(try moment.map { try storage.openSnapshot(at: $0) } ?? storage.openSnapshot())
        rootObject = Root(ghost: .root)
        rootObject.connection = self
        instances.insert(rootObject, .root)
        try load(rootObject)
        try manager.register(self)
    }

    deinit { if !isClosed { endUse() } }

    /// The directory of names.
    public var root: Root { rootObject }
    /// The last transaction it sees.
    public var tid: TID { get throws { try snapshot.tid } }
    /// Orders commits of several connections; see ``DataManager/sortKey``.
    public var sortKey: String { "zbigdb:\(path):\(number)" }

    var storage: any RecordStorage {
        get throws {
            guard let openStorage else { throw DatabaseError.connectionClosed(what: path) }
            return openStorage
        }
    }

    var snapshot: any StorageSnapshot { get throws { try box.current(for: path) } }

    // MARK: Transactions

    /// Begins a transaction: moves to the newest snapshot. See ``TransactionManager/begin()``.
    @discardableResult
    public func begin() throws -> Transaction { try transactionManager.begin() }

    /// Commits the current transaction; returns its tid, or nil if nothing was changed.
    @discardableResult
    public func commit(note: String = "") throws -> TID? {
        let transaction = try transactionManager.current()
        transaction.addNote(note)
        try transaction.commit()
        return transaction.tid
    }

    /// Aborts the current transaction: all changes since the last boundary are gone.
    public func abort() throws { try transactionManager.abort() }

    /// Closes the connection. Views of its arrays must not be used any more.
    ///
    /// - Throws: ``DatabaseError/uncommittedChanges(path:)`` (behaviours H18, E40).
    public func close() throws {
        if isClosed { return }
        if commit.isJoined || openFiles.values.contains(where: \.isDirty) {
            throw DatabaseError.uncommittedChanges(path: path)
        }
        endUse()
    }

    func endUse() {
        if isClosed { return }
        isClosed = true
        transactionManager.unregister(self)
        for file in openFiles.values { file.closeHandle() }
        openFiles = [:]
        instances.forgetRecent()
        box.replace(with: nil)
        // Of a connection that was let go of in the middle of a transaction.
        ahead.take()?.discard()
        ahead.close()
        openStorage = nil
        heldDatabase?.connectionDidClose()
    }

    /// A number for a new object. They are taken in runs that grow with use.
    func nextNumber() throws -> OID {
        if numbers.isEmpty {
            numberRun = min(numberRun * 4, 1 << 14)
            numbers = try storage.reserveOIDs(upTo: numberRun)
        }
        defer { numbers = numbers.dropFirst() }
        return OID(rawValue: numbers.lowerBound)
    }

    /// Where a class has its properties. Mostly one class is asked for many times.
    func layout(of type: Persistent.Type) -> ClassLayout {
        if let lastLayout, lastLayout.type == type { return lastLayout }
        let layout = ClassRegistry.layout(of: type)
        lastLayout = layout
        return layout
    }
}
