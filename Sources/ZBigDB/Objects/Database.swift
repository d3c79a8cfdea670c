internal import Dispatch
internal import Synchronization
internal import VirtMem

/// An open database file.
///
/// Open a file once in a process and share the `Database`, which is Sendable;
/// any number of processes may have it open at the same time. Work goes through
/// connections:
///
/// ```swift
/// let database = try Database("measurements.zbigdb", create: true)
/// let connection = try database.connect()
/// let array = try connection.createArray("temperature", shape: [1000, 1000], of: Double.self)
/// try array.fill(with: 20.5)
/// try connection.commit(note: "first readings")
/// ```
public final class Database: Sendable {
    /// How a database is opened.
    public struct Configuration: Sendable {
        /// Whether changes are refused.
        public var isReadOnly = false
        /// What a commit survives.
        public var durability = Durability.full
        /// Bytes in a block of arrays, for a new database: a multiple of the page size. 2 MiB.
        public var blockSize = 2 << 20
        /// The compression of arrays made without another wish, for a new database. None.
        public var compression = ArrayCompression.none
        /// Whether a new database keeps old versions of everything.
        public var keepsHistory = false
        /// Bytes of address space for the file. It costs no memory, and grows by itself. 1 TiB.
        public var mapSize = 1 << 40
        /// The file may not grow past this many bytes; nil means the disk decides.
        public var maximumSize: Int?
        /// Snapshots that may be open at once in all processes.
        public var maximumReaders = 1022
        /// Entries the transactions log keeps. A connection that has not moved
        /// for longer than the log goes back loads everything anew. Where history is kept, what can be
        /// undone stays in the log as well.
        public var logLimit = 100_000
        /// Whether commits move what is left of large block records that are mostly replaced, so
        /// that their space is used again. `compact` does so in any case.
        public var compactsAutomatically = true
        /// Bytes of address space for each array; more if the array is larger. 64 GiB.
        public var arrayReservation = 64 << 30
        /// Bytes of changed array memory that transactions may hold, all connections together, before
        /// changes move to the file ahead of the commit. A quarter of the machine's memory.
        public var dirtyBudget = systemMemory / 4
        /// Whether blocks are mapped from the file; otherwise they are copied.
        public var mapsBlocks = true
        /// Whether each block's checksums are checked when it is loaded. Slower;
        /// `verify` checks them in any case.
        public var verifiesOnLoad = false
        /// Unchanged objects a connection keeps in memory. 10,000.
        public var cachedObjects = 10_000
        /// Bytes of stored states that the objects a connection keeps may take. 64 MiB.
        public var cachedBytes = 64 << 20
        /// A commit with a record of more than this many bytes, a state or the value of an entry, is logged as a
        /// warning: it is in memory as a whole, and arrays are the place for large data. 16 MiB.
        public var largeRecordSize = 16 << 20
        /// Idle connections kept for `read` and `write`. 7.
        public var pooledConnections = 7
        /// How long a connection stays idle before it is closed. Ten minutes.
        public var pooledConnectionTimeout = Duration.seconds(600)
        /// How often observers look for commits of other processes.
        var observationInterval = DispatchTimeInterval.milliseconds(100)

        /// The defaults.
        public init() {}
    }

    /// The file's path.
    public let path: String
    /// How it was opened.
    public let configuration: Configuration

    /// Changed array memory of all connections.
    let dirtyBudget: DirtyBudget

    private struct State {
        var storage: LMDBStorage?
        var connections = 0
        var nextNumber = 1
    }

    private let state: Mutex<State>
    let pool: ConnectionPool
    /// Tells observers of commits.
    let watch: ChangeWatch
    let writeQueue = DispatchQueue(label: "zbigdb.write")
    let readQueue = DispatchQueue(label: "zbigdb.read", attributes: .concurrent)

    /// Opens the database at `path`, or makes it if `create` and it is not there.
    ///
    /// - Throws: ``StorageError``, which tells a missing file from a foreign or
    ///   damaged one, one of another version, one without permission.
    public init(_ path: String, create: Bool = false, configuration: Configuration = Configuration()) throws {
        self.path = path
        self.configuration = configuration
        pool = ConnectionPool(
            limit: configuration.pooledConnections, timeout: configuration.pooledConnectionTimeout, path: path
        )
        dirtyBudget = DirtyBudget(bytes: configuration.dirtyBudget)
        var options = Self.options(configuration)
        options.create = create && !configuration.isReadOnly
        let storage = try LMDBStorage(path, options)
        if try storage.openSnapshot().tid == .zero {
            guard !configuration.isReadOnly else {
                throw StorageError.notADatabase(path: path, reason: "it was never completed")
            }
            try Self.makeRoot(storage)
        }
        state = Mutex(State(storage: storage))
        watch = ChangeWatch(storage, interval: configuration.observationInterval)
    }

    static func options(_ configuration: Configuration) -> LMDBStorage.Options {
        var options = LMDBStorage.Options()
        options.blockSize = configuration.blockSize
        options.compression = configuration.compression
        options.keepsHistory = configuration.keepsHistory
        options.compactsAutomatically = configuration.compactsAutomatically
        options.logLimit = configuration.logLimit
        options.allowsZeroCopy = configuration.mapsBlocks
        options.verifiesOnLoad = configuration.verifiesOnLoad
        options.environment.isReadOnly = configuration.isReadOnly
        options.environment.durability = configuration.durability
        options.environment.mapSize = configuration.mapSize
        options.environment.maximumSize = configuration.maximumSize
        options.environment.maximumReaders = configuration.maximumReaders
        return options
    }

    /// Opens a connection with a transaction manager of its own. It may be moved to another task, with all
    /// its objects.
    ///
    /// - Throws: ``DatabaseError/databaseClosed(path:)``, ``StorageError``.
    public func connect() throws -> sending Connection {
        try connect(transactionManager: TransactionManager())
    }

    /// Opens a connection.
    ///
    /// - Parameter transactionManager: to let several connections, also of several databases, change together.
    /// - Throws: ``DatabaseError/databaseClosed(path:)``, ``StorageError``.
    public func connect(transactionManager: TransactionManager) throws -> Connection {
        try connect(transactionManager, at: nil)
    }

    func connect(_ transactionManager: TransactionManager, at moment: Moment?) throws -> Connection {
        let (storage, number) = try state.withLock { state in
            guard let storage = state.storage else { throw DatabaseError.databaseClosed(path: path) }
            state.connections += 1
            state.nextNumber += 1
            return (storage, state.nextNumber)
        }
        do {
            return try Connection(self, storage, transactionManager, number: number, at: moment)
        } catch {
            connectionDidClose()
            throw error
        }
    }

    /// Closes the database, which ends sequences of its changes. It can be opened again afterwards.
    ///
    /// - Throws: ``DatabaseError/connectionsOpen(path:count:)``.
    public func close() throws {
        pool.drain()
        try state.withLock { state in
            guard state.connections == 0 else {
                throw DatabaseError.connectionsOpen(path: path, count: state.connections)
            }
            state.storage = nil
            watch.close()
        }
    }

    func connectionDidReturn() { state.withLock { $0.connections += 1 } }
    func connectionDidClose() { state.withLock { $0.connections -= 1 } }

    func openStorage() throws -> LMDBStorage {
        guard let storage = state.withLock({ $0.storage }) else {
            throw DatabaseError.databaseClosed(path: path)
        }
        return storage
    }

    /// The one initial transaction: the root object (behaviour H1).
    private static func makeRoot(_ storage: LMDBStorage) throws {
        var writer = CBORWriter()
        writer.array(3)
        writer.text(Root.className)
        writer.integer(Root.stateVersion)
        writer.map(0)
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "initial database", metadata: [:],
            writes: [RecordWrite(key: RecordKey(.root), value: .state(writer.bytes), base: nil)],
            readings: [],
            blocks: storage.makeBlockWriter(isAhead: false))
        do {
            try storage.vote(request, isSole: true).finish()
        } catch is ConflictError {
            // Another process was faster.
        }
    }

    // MARK: Decisions of distributed transactions

    /// What became of a transaction in which others than this database took part.
    public func outcome(of id: TransactionID) throws -> TransactionOutcome {
        try openStorage().outcome(of: id)
    }

    /// Transactions this database said yes to whose process died before the
    /// decision. What they change cannot be changed until they are decided.
    public func transactionsInDoubt() throws -> [TransactionID] { try openStorage().inDoubt() }

    /// Decides a transaction in doubt as the other participants did.
    public func resolve(_ id: TransactionID, commit: Bool) throws {
        try openStorage().resolve(id, commit: commit)
    }
}
