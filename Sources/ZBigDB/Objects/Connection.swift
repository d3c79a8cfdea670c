internal import VirtMem

/// A view of a database at one moment, and the changes made to it.
///
/// What it shows is the database as of the last transaction boundary: its
/// begin, commit or abort. What others commit is seen after the next boundary
/// and never before. A connection, with all its objects and arrays, belongs to
/// one task at a time.
public final class Connection {
    /// The database it looks at.
    public let database: Database
    /// Hands out the transactions it takes part in.
    public let transactionManager: TransactionManager
    /// Whether it was closed.
    public private(set) var isClosed = false

    /// Let go of at the end of use, so that a closed connection does not keep the file open.
    private var openStorage: (any RecordStorage)?
    let box: SnapshotBox
    private let number: Int
    private var rootObject: Root

    /// One instance for each number.
    private var instances: [OID: WeakObject] = [:]
    /// Array files with an open handle. Their memory may be changed without a
    /// call, so they are held until a boundary finds them clean and unused.
    var openFiles: [OID: ZBigFile] = [:]

    // This transaction.
    var changed: [PersistentObject] = []
    var added: [PersistentObject] = []
    var readings: [OID: TID?] = [:]
    var commit = CommitState()

    private struct WeakObject {
        weak var object: PersistentObject?
    }

    /// What the phases of a commit hand to each other.
    struct CommitState {
        var isJoined = false
        var request: CommitRequest?
        var writer: (any BlockWriter)?
        var prepared: (any PreparedCommit)?
        var committedTID: TID?
    }

    init(_ database: Database, _ storage: any RecordStorage, _ manager: TransactionManager, number: Int)
        throws
    {
        self.database = database
        openStorage = storage
        self.number = number
        transactionManager = manager
        box = SnapshotBox(try storage.openSnapshot())
        rootObject = Root(ghost: .root)
        rootObject.connection = self
        instances[.root] = WeakObject(object: rootObject)
        try load(rootObject)
        try manager.register(self)
    }

    deinit { if !isClosed { endUse() } }

    /// The directory of names.
    public var root: Root { rootObject }
    /// The last transaction it sees.
    public var tid: TID { get throws { try snapshot.tid } }
    /// The database's file.
    public var path: String { database.path }
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

    private func endUse() {
        isClosed = true
        transactionManager.unregister(self)
        for file in openFiles.values { file.closeHandle() }
        openFiles = [:]
        box.replace(with: nil)
        openStorage = nil
        database.connectionDidClose()
    }

    // MARK: Objects

    /// Adds a new object, so that it has a number and its arrays have memory.
    /// It is stored at the commit if it is still there.
    ///
    /// - Throws: ``DatabaseError/foreignObject(name:)``, ``StorageError``.
    public func add(_ object: PersistentObject) throws { _ = try adopt(object) }

    /// The number of an object of this connection; a new object gets one.
    func adopt(_ object: PersistentObject) throws -> OID {
        if let oid = object.oid, object.connection === self { return oid }
        if isClosed { throw DatabaseError.connectionClosed(what: object.name) }
        guard object.connection == nil, object.status == .unsaved else {
            throw DatabaseError.foreignObject(name: object.name)
        }
        let oid = OID(rawValue: try storage.reserveOIDs(1).lowerBound)
        object.oid = oid
        object.connection = self
        object.status = .saved
        instances[oid] = WeakObject(object: object)
        added.append(object)
        try register(object)
        return oid
    }

    /// Notes that `object` changes, and takes part in the transaction.
    func register(_ object: PersistentObject) throws {
        if isClosed { throw DatabaseError.connectionClosed(what: object.name) }
        try joinTransaction()
        object.status = .changed
        changed.append(object)
    }

    func joinTransaction() throws {
        if commit.isJoined { return }
        try transactionManager.current().join(self)
        commit.isJoined = true
    }

    /// Makes the commit fail if `object` changes elsewhere meanwhile, though this
    /// transaction only reads it (behaviour H12).
    public func readCurrent(_ object: PersistentObject) throws {
        try object.activate()
        guard let oid = object.oid, object.connection === self else {
            throw DatabaseError.notAdded(name: object.name)
        }
        try joinTransaction()
        readings[oid] = object.version
    }

    /// The object with this number, whatever its class.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``.
    public func object(_ oid: OID) throws -> PersistentObject {
        if let known = instances[oid]?.object { return known }
        guard let record = try snapshot.record(RecordKey(oid)) else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        let name = try decode(record) { try className(of: &$0) }
        let object = try instance(oid, className: name)
        try object.activate()
        return object
    }

    /// The one instance of an object: a known one, or a ghost. Not inlined: where the
    /// caller drops it, the compiler would rightly say that the weak reference is useless.
    @inline(never)
    func instance(_ oid: OID, className: String) throws -> PersistentObject {
        if let known = instances[oid]?.object { return known }
        guard let type = ClassRegistry.find(className) else {
            throw DatabaseError.unknownClass(path: path, oid: oid, name: className)
        }
        let object = type.init(ghost: oid)
        object.connection = self
        instances[oid] = WeakObject(object: object)
        if instances.count > 1024, instances.count.nonzeroBitCount == 1 {
            instances = instances.filter { $0.value.object != nil }
        }
        return object
    }

    /// The numbers of the objects in memory.
    var knownOIDs: [OID] { Array(instances.keys) }
    func known(_ oid: OID) -> PersistentObject? { instances[oid]?.object }
    func forget(_ oid: OID) { instances[oid] = nil }

    /// Loads an object's state from the snapshot.
    func load(_ object: PersistentObject) throws {
        guard let oid = object.oid else { throw DatabaseError.notAdded(name: object.name) }
        guard let record = try snapshot.record(RecordKey(oid)) else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        try decode(record) { reader in
            let name = try className(of: &reader)
            guard name == type(of: object).className else {
                throw DatabaseError.wrongClass(
                    what: "object \(oid)", expected: type(of: object).className, found: name)
            }
            _ = try reader.unsigned()
            try object.decodeState(&reader, ReferenceDecoder(connection: self))
        }
        object.version = record.tid
        object.status = .saved
    }

    private func className(of reader: inout CBORReader) throws -> String {
        guard try reader.array() == 3 else {
            throw CBORReader.Malformed(description: "three parts were expected")
        }
        return try reader.text()
    }

    /// The object a record of the root refers to.
    func reference(in record: StoredRecord) throws -> PersistentObject {
        try decode(record) { try ReferenceDecoder(connection: self).decode(&$0) }
    }

    private func decode<R>(_ record: StoredRecord, _ body: (inout CBORReader) throws -> R) throws -> R {
        guard case .state(let bytes) = record.value else {
            throw DatabaseError.unreadable(
                path: path, oid: record.key.oid, reason: "\(record.key.part) is no state")
        }
        var reader = CBORReader(bytes)
        do {
            return try body(&reader)
        } catch let error as CBORReader.Malformed {
            throw DatabaseError.unreadable(path: path, oid: record.key.oid, reason: error.description)
        }
    }
}
