/// The base of persistent classes.
///
/// ```swift
/// final class Account: Persistent {
///     @Persisted var owner = ""
///     @Persisted var balance = 0
///     @Persisted var parent: Account?
///     @Persisted var entries = PersistentMap<Date, String>()
///
///     convenience init(owner: String) {
///         self.init()
///         self.owner = owner
///     }
/// }
/// ```
///
/// Every persisted property has a default value. Other properties are not stored and begin anew in every
/// instance. Objects that a stored object refers to are stored with it, and loaded when they are first
/// looked at; within a connection an object is one instance, however it is reached.
///
/// A class is stored under its ``PersistentObject/className`` and becomes known when a program first uses
/// it. One that is only reached through a property of a superclass must be made known with ``register()``.
///
/// Properties may be added, with their default for states that lack them, and removed. What needs more than
/// that raises ``PersistentObject/stateVersion`` and implements ``migrate(from:_:)``.
open class Persistent: PersistentObject {
    /// An object that is in no database yet. It must have no effect but on the object: instances are
    /// also made to be filled with a stored state.
    public required override init() { super.init() }

    override class func ghost(_ oid: OID) -> Persistent {
        let object = Self()
        object.oid = oid
        object.objectStatus = .ghost
        return object
    }

    /// Makes the class known, so that its objects can be loaded by their stored class name.
    ///
    /// Two classes of one name end the process.
    public static func register() { _ = ClassRegistry.layout(of: self) }

    /// Brings a state of an older form into the current one (behaviour of ``PersistentObject/stateVersion``).
    ///
    /// Called after an older state was loaded: properties of the same name have their values, others
    /// their defaults. The object counts as unchanged; the new form is stored with its next change.
    ///
    /// - Parameters:
    ///   - version: the version of the form that was stored.
    ///   - fields: what was stored, by property name.
    open func migrate(from version: Int, _ fields: StoredFields) throws {}

    override func encodeRecord(_ encoder: inout StateEncoder) throws {
        let layout = encoder.connection.layout(of: type(of: self))
        encoder.writer.raw(layout.head)
        try layout.encode(self, to: &encoder)
    }

    override func decodeRecord(_ decoder: inout StateDecoder) throws {
        let layout = decoder.connection.layout(of: type(of: self))
        if decoder.reader.take(layout.head) { return try layout.decode(self, from: &decoder) }
        let head = try RecordHead(&decoder.reader)
        try head.check(type(of: self), decoder.connection.path, oid)
        let start = decoder.reader.position
        try layout.decode(self, from: &decoder)
        decoder.reader.position = start
        // Setting a property now is no change.
        objectStatus = .unsaved
        defer { objectStatus = .ghost }
        try migrate(from: head.stateVersion, try StoredFields(decoder))
    }

    override func didBecomeGhost() { ClassRegistry.layout(of: type(of: self)).reset(self) }

    // MARK: Access to properties

    /// Loads the object; there is nobody to throw an error to.
    @usableFromInline
    final func loadOrStop() {
        do { try activate() } catch {
            fatalError("\(objectLabel) cannot be loaded: \(error); call activate() first to have this thrown")
        }
    }

    /// Registers a change that is about to happen.
    @usableFromInline
    final func prepareChange() {
        loadOrStop()
        guard objectStatus == .saved else { return }
        guard let connection, !connection.isClosed else {
            fatalError("\(objectLabel) cannot be changed: its connection is closed")
        }
        connection.registerOrDefer(self)
    }
}

/// The stored properties of an older form of a class, by name.
public struct StoredFields {
    private let decoder: StateDecoder
    private var places: [String: Int] = [:]

    init(_ decoder: StateDecoder) throws {
        self.decoder = decoder
        var reader = decoder.reader
        for _ in 0..<(try reader.map()) {
            let name = try reader.text()
            places[name] = reader.position
            try reader.skip()
        }
    }

    /// The names that were stored.
    public var names: [String] { places.keys.sorted() }

    /// The value stored under `name`, or nil if there is none.
    ///
    /// - Throws: an error if it is no such value.
    public func value<T: PersistentValue>(_ name: String, as type: T.Type = T.self) throws -> T? {
        guard let place = places[name] else { return nil }
        var decoder = self.decoder
        decoder.reader.position = place
        return try T.decode(from: &decoder)
    }
}
