/// The directory of names: where a program finds its objects again.
///
/// Each name is a record of its own, so transactions that add different names
/// do not conflict, and a directory of any size costs nothing to open.
public final class Root: PersistentObject {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.Root" }
    override var isSticky: Bool { true }

    override class func ghost(_ oid: OID) -> PersistentObject { Root(ghost: oid) }

    /// Changes of this transaction by subkey; nil for a name that goes. Not by
    /// `String`, which takes different bytes for the same text.
    private var pending: [[UInt8]: PersistentObject?] = [:]

    /// The object called `name`, or nil.
    ///
    /// - Throws: ``StorageError``, ``DatabaseError``.
    /// - Complexity: O(log n) in the number of records.
    public func object(_ name: String) throws -> PersistentObject? { try object(name, expecting: nil) }

    /// The object called `name`, which is one of `type`, or nil if there is none.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``, ``StorageError``.
    /// - Complexity: O(log n) in the number of records.
    public func object<T: PersistentReference>(_ name: String, as type: T.Type) throws -> T? {
        try object(name, expecting: type as? PersistentObject.Type).map { try T.reference(to: $0) }
    }

    private func object(_ name: String, expecting type: PersistentObject.Type?) throws -> PersistentObject? {
        let subkey = try NameKey.encode(name)
        if let changed = pending[subkey] { return changed }
        let connection = try self.openConnection
        guard let record = try connection.snapshot.record(RecordKey(.root, subkey)) else { return nil }
        return try connection.reference(in: record, expecting: type)
    }

    /// The array called `name`.
    ///
    /// - Throws: ``DatabaseError/missingName(path:name:)``,
    ///   ``DatabaseError/wrongClass(what:expected:found:)``, ``StorageError``.
    public func array(_ name: String) throws -> BigArray {
        guard let object = try object(name) else {
            throw DatabaseError.missingName(path: try openConnection.path, name: name)
        }
        guard let array = object as? BigArray else {
            throw DatabaseError.wrongClass(
                what: "\"\(name)\"", expected: BigArray.className, found: object.recordClassName)
        }
        try array.activate()
        return array
    }

    /// Calls `object` by `name`, and adds it to the database if it is in none.
    ///
    /// - Throws: ``StorageError/keyTooLong(length:limit:)``, ``DatabaseError/foreignObject(name:path:)``.
    public func set(_ name: String, _ object: some PersistentReference) throws {
        let subkey = try NameKey.encode(name)
        try willChange()
        let object = object.persistentObject
        _ = try openConnection.adopt(object)
        pending[subkey] = .some(object)
    }

    /// Forgets `name`. The object stays as long as something else refers to it.
    public func remove(_ name: String) throws {
        guard try object(name) != nil else { return }
        try willChange()
        pending[try NameKey.encode(name)] = .some(nil)
    }

    /// All names, in the order of their UTF-8 bytes.
    ///
    /// - Complexity: O(n).
    public func names() throws -> [String] {
        let connection = try openConnection
        var subkeys: Set<[UInt8]> = []
        var from = RecordKey.firstEntry
        while true {
            let page = try connection.snapshot.parts(of: .root, from: from, limit: 1000)
            for record in page { subkeys.insert(record.key.subkey) }
            guard let last = page.last, page.count == 1000 else { break }
            from = last.key.subkey + [0]
        }
        for (subkey, object) in pending {
            if object == nil { subkeys.remove(subkey) } else { subkeys.insert(subkey) }
        }
        return subkeys.sorted { $0.lexicographicallyPrecedes($1) }.compactMap { NameKey.name(of: $0) }
    }

    private var openConnection: Connection {
        get throws {
            guard let connection else { throw DatabaseError.connectionClosed(what: "the root") }
            return connection
        }
    }

    override func collectWrites(_ builder: inout CommitBuilder) throws {
        let snapshot = try openConnection.snapshot
        for (subkey, object) in pending {
            let key = RecordKey(.root, subkey)
            let base = try snapshot.record(key)?.tid
            guard let object else {
                if base != nil { builder.writes.append(RecordWrite(key: key, value: nil, base: base)) }
                continue
            }
            var writer = CBORWriter()
            try ReferenceEncoder(connection: builder.connection).encode(object, into: &writer)
            builder.writes.append(RecordWrite(key: key, value: .state(writer.bytes), base: base))
        }
    }

    /// The changes of this transaction, for savepoints.
    var changes: [[UInt8]: PersistentObject?] {
        get { pending }
        set { pending = newValue }
    }

    override func didRevert() { pending = [:] }

    /// What was pending is stored.
    override func didCommit() { pending = [:] }
}
