internal import Synchronization

/// An object that a database keeps.
///
/// It belongs to one connection, which has exactly one instance for each
/// object number, and like the connection to one task at a time.
public class PersistentObject {
    /// How an object in memory relates to the stored one.
    public enum Status: Sendable {
        /// Not in a database.
        case unsaved
        /// As stored, or new and unchanged since it was added.
        case saved
        /// Differs from what is stored; registered for the commit.
        case changed
        /// Known by number only; its state is loaded when needed.
        case ghost
    }

    /// Its number, once it was added to a connection.
    public internal(set) final var oid: OID?
    /// The connection it belongs to.
    public internal(set) final weak var connection: Connection?
    /// How it relates to the stored object.
    public internal(set) final var status = Status.unsaved
    /// The version its state comes from; nil if it was never stored.
    final var version: TID?

    /// The stable name its class is stored under.
    class var className: String { "PersistentObject" }
    /// The version of the state's form.
    class var stateVersion: UInt64 { 1 }
    /// Whether it is loaded again at once when it changed elsewhere, so that
    /// its properties can be read without errors.
    var isSticky: Bool { false }

    init() {}

    /// A ghost.
    required init(ghost oid: OID) {
        self.oid = oid
        status = .ghost
    }

    /// Writes the state: one CBOR map.
    func encodeState(_ writer: inout CBORWriter, _ references: ReferenceEncoder) throws {
        writer.map(0)
    }

    /// Reads the state: one CBOR map. Unknown fields must be passed over.
    func decodeState(_ reader: inout CBORReader, _ references: ReferenceDecoder) throws {
        try reader.skip()
    }

    /// Adds what changed to a commit: one record with the state, unless a class knows better.
    func collectWrites(_ builder: inout CommitBuilder) throws {
        builder.writes.append(
            RecordWrite(
                key: RecordKey(try builder.oid(of: self)), value: .state(try builder.record(of: self)),
                base: version))
    }

    /// The stored state is to be seen again: forget what was derived from the changed one.
    func didRevert() {}

    /// Loads the state if it is not there.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``, ``StorageError``.
    public final func activate() throws {
        guard status == .ghost else { return }
        guard let connection else { throw DatabaseError.connectionClosed(what: name) }
        try connection.load(self)
    }

    /// Registers a change for the next commit. Call it before changing the state.
    ///
    /// - Throws: what ``Transaction/join(_:)`` throws, or an error of ``activate()``.
    final func willChange() throws {
        try activate()
        guard let connection, status == .saved else { return }
        try connection.register(self)
    }

    /// The object in words, for messages.
    final var name: String { "\(Self.className) \(oid.map(\.description) ?? "(unsaved)")" }
}

/// The classes a program knows, by the names they are stored under.
enum ClassRegistry {
    private static let classes = Mutex<[String: PersistentObject.Type]>([
        Root.className: Root.self,
        ZBigFile.className: ZBigFile.self,
        BigArray.className: BigArray.self,
    ])

    static func register(_ type: PersistentObject.Type) { classes.withLock { $0[type.className] = type } }
    static func find(_ name: String) -> PersistentObject.Type? { classes.withLock { $0[name] } }
}
