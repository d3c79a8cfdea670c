/// An object that a database keeps.
///
/// It belongs to one connection, which has exactly one instance for each
/// object number, and like the connection to one task at a time. Derive classes
/// of your own from ``Persistent``.
open class PersistentObject: PersistentReference {
    /// How an object in memory relates to the stored one (behaviour H22).
    public enum Status: Sendable {
        /// Not in a database.
        case unsaved
        /// As stored.
        case saved
        /// New, or different from what is stored; registered for the commit.
        case changed
        /// Known by number only; its state is loaded when needed.
        case ghost
    }

    /// Its number, once it was added to a connection.
    public internal(set) final var oid: OID?
    /// The connection it belongs to.
    public internal(set) final weak var connection: Connection?
    /// How it relates to the stored object.
    public internal(set) final var objectStatus = Status.unsaved
    /// Whether the stored object was removed while this one was in memory: because nothing led to it, or by undoing.
    final var isRemoved = false
    /// The version its state comes from; nil if it was never stored.
    final var storedVersion: TID?
    /// Whether it came by an import: parts of its state are encoded, so it cannot go elsewhere when that is taken back.
    final var isImported = false

    /// The stable name the class is stored under. Unless a class says otherwise it is the
    /// name of the type: give it explicitly before renaming the type.
    open class var className: String { String(describing: Self.self) }
    /// The version of the state's form. Raise it when older states need ``Persistent/migrate(from:_:)``.
    open class var stateVersion: Int { 1 }
    /// Whether it is loaded again at once when it changed elsewhere, and never becomes a
    /// ghost to save memory, so that its properties can be read without errors.
    var isSticky: Bool { false }
    /// The name this object's state is stored under.
    var recordClassName: String { Self.className }

    init() {}

    /// A ghost.
    init(ghost oid: OID) {
        self.oid = oid
        objectStatus = .ghost
    }

    /// A ghost of this class.
    class func ghost(_ oid: OID) -> PersistentObject { PersistentObject(ghost: oid) }

    // MARK: State

    /// Writes the record: an array of class name, version of the form, and state.
    func encodeRecord(_ encoder: inout StateEncoder) throws {
        encoder.writer.array(3)
        encoder.writer.text(recordClassName)
        encoder.writer.integer(Self.stateVersion)
        try encodeState(&encoder.writer, ReferenceEncoder(connection: encoder.connection))
    }

    /// Writes the state: one CBOR map.
    func encodeState(_ writer: inout CBORWriter, _ references: ReferenceEncoder) throws { writer.map(0) }

    /// Reads what ``encodeRecord(_:)`` wrote.
    func decodeRecord(_ decoder: inout StateDecoder) throws {
        let head = try RecordHead(&decoder.reader)
        try head.check(Self.self, decoder.connection.path, oid)
        try decodeState(&decoder.reader, ReferenceDecoder(connection: decoder.connection))
    }

    /// Reads the state: one CBOR map. Unknown fields must be passed over.
    func decodeState(_ reader: inout CBORReader, _ references: ReferenceDecoder) throws { try reader.skip() }

    /// Adds what changed to a commit: one record with the state, unless a class knows better.
    func collectWrites(_ builder: inout CommitBuilder) throws { try builder.writeState(of: self) }

    /// What was changed is stored.
    func didCommit() {}

    /// The stored state is to be seen again: forget what was derived from the changed one.
    func didRevert() {}

    /// Its state is not needed for now: let go of it.
    func didBecomeGhost() {}

    // MARK: Loading and changing

    /// Loads the state if it is not there, so that reading properties cannot fail.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``, ``DatabaseError/newerState(path:oid:className:found:known:)``,
    ///   ``StorageError``.
    public final func activate() throws {
        guard objectStatus == .ghost else { return }
        guard let connection else { throw DatabaseError.connectionClosed(what: objectLabel) }
        try connection.load(self)
    }

    /// A hint that the state is not needed for now: an unchanged object becomes a ghost (behaviour H22).
    public final func deactivate() {
        guard objectStatus == .saved, storedVersion != nil, !isSticky else { return }
        objectStatus = .ghost
        didBecomeGhost()
    }

    /// Registers a change for the next commit. Call it before changing the state.
    ///
    /// - Throws: what ``Transaction/join(_:)`` throws, or an error of ``activate()``.
    final func willChange() throws {
        try activate()
        guard objectStatus == .saved else { return }
        guard let connection else { throw DatabaseError.connectionClosed(what: objectLabel) }
        try connection.register(self)
    }

    /// The object in words, for messages.
    final var objectLabel: String { "\(recordClassName) \(oid.map(\.description) ?? "(unsaved)")" }

    // MARK: As a value of a property

    /// The object itself.
    public final var persistentObject: PersistentObject { self }

    /// The object as one of its class.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``.
    public static func reference(to object: PersistentObject) throws -> Self {
        if let object = object as? Self { return object }
        throw DatabaseError.wrongClass(
            what: object.objectLabel, expected: String(describing: Self.self), found: object.recordClassName)
    }
}

/// How every record of an object begins.
struct RecordHead {
    let className: String
    let stateVersion: Int

    init(_ reader: inout CBORReader) throws(CBORReader.Malformed) {
        guard try reader.array() == 3 else {
            throw CBORReader.Malformed(description: "three parts were expected")
        }
        className = try reader.text()
        stateVersion = try reader.integer()
    }

    /// - Throws: an error if the state is not one of `type`, or of a newer form.
    func check(_ type: PersistentObject.Type, _ path: String, _ oid: OID?) throws {
        let oid = oid ?? .root
        guard className == type.className else {
            throw DatabaseError.wrongClass(what: "object \(oid)", expected: type.className, found: className)
        }
        guard stateVersion <= type.stateVersion else {
            throw DatabaseError.newerState(
                path: path, oid: oid, className: className, found: stateVersion, known: type.stateVersion)
        }
    }
}
