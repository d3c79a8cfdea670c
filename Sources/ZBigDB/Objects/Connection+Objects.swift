// The objects of a connection: one instance for each number.

extension Connection {
    /// Adds a new object, so that it has a number and its arrays have memory.
    /// It is stored at the commit if it is still there.
    ///
    /// Objects that others refer to are added with them at the commit (behaviour H6).
    ///
    /// - Throws: ``DatabaseError/foreignObject(name:path:)``, ``StorageError``.
    public func add(_ object: some PersistentReference) throws { _ = try adopt(object.persistentObject) }

    /// The object with this number, whatever its class.
    ///
    /// One of a class this program does not have is an ``UnknownObject``.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``, ``StorageError``.
    /// - Complexity: O(log n) in the number of records.
    public func object(_ oid: OID) throws -> PersistentObject { try object(oid, expecting: nil) }

    /// The object with this number, which is one of `type`.
    ///
    /// - Throws: ``DatabaseError/missingObject(path:oid:)``,
    ///   ``DatabaseError/wrongClass(what:expected:found:)``, ``StorageError``.
    /// - Complexity: O(log n) in the number of records.
    public func object<T: PersistentReference>(_ oid: OID, as type: T.Type) throws -> T {
        try T.reference(to: try object(oid, expecting: type as? PersistentObject.Type))
    }

    /// Makes the commit fail if `object` changes elsewhere meanwhile, though this
    /// transaction only reads it (behaviour H12).
    public func readCurrent(_ object: PersistentObject) throws {
        try object.activate()
        guard let oid = object.oid, object.connection === self else {
            throw DatabaseError.notAdded(name: object.objectLabel)
        }
        try joinTransaction()
        readings[oid] = object.storedVersion
    }

    /// Makes every unchanged object a ghost, and forgets those that nobody else holds (behaviour H21).
    ///
    /// - Complexity: O(objects in memory).
    public func minimizeCache() {
        instances.forEach { $0.deactivate() }
        instances.forgetRecent()
    }

    // MARK: Registration

    /// The number of an object of this connection; a new object gets one.
    func adopt(_ object: PersistentObject) throws -> OID {
        if let oid = object.oid, object.connection === self {
            // It may have come back since, or nobody must refer to it.
            if object.isRemoved { try load(object) }
            return oid
        }
        if isClosed { throw DatabaseError.connectionClosed(what: object.objectLabel) }
        guard object.connection == nil, object.objectStatus == .unsaved else {
            throw DatabaseError.foreignObject(
                name: object.objectLabel, path: object.connection?.path ?? "a closed connection")
        }
        if object.isImported { throw DatabaseError.importTakenBack(name: object.objectLabel) }
        try joinTransaction()
        let oid = try nextNumber()
        object.oid = oid
        object.connection = self
        object.objectStatus = .changed
        instances.add(object, oid)
        added.append(object)
        changed.append(object)
        return oid
    }

    /// Notes that `object` changes, and takes part in the transaction.
    func register(_ object: PersistentObject) throws {
        if isClosed { throw DatabaseError.connectionClosed(what: object.objectLabel) }
        try joinTransaction()
        object.objectStatus = .changed
        changed.append(object)
    }

    /// The same where nothing can be thrown: a change that cannot be stored is kept until
    /// somebody can be told.
    func registerOrDefer(_ object: PersistentObject) {
        do {
            try register(object)
        } catch {
            object.objectStatus = .changed
            changed.append(object)
            deferredFailure = deferredFailure ?? error
        }
    }

    /// - Throws: ``HistoryError/readOnly(path:tid:)``.
    func joinTransaction() throws {
        try requireChangeable()
        if commit.isJoined { return }
        try transactionManager.current().join(self)
        commit.isJoined = true
    }

    /// - Throws: ``HistoryError/readOnly(path:tid:)``.
    func requireChangeable() throws {
        if moment != nil { throw HistoryError.readOnly(path: path, tid: try snapshot.tid) }
    }

    // MARK: Instances

    /// Not inlined: where the caller drops the object, the compiler would rightly say that
    /// the weak reference is useless.
    @inline(never)
    func object(_ oid: OID, expecting type: PersistentObject.Type?) throws -> PersistentObject {
        if let known = instances[oid], !isReplaceable(known, type) { return known }
        guard let record = try snapshot.record(RecordKey(oid)) else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        return try decode(record) { decoder in
            if let type = type as? Persistent.Type {
                let layout = self.layout(of: type)
                if decoder.reader.take(layout.head) {
                    let object = type.ghost(oid)
                    object.connection = self
                    let place = instances.beginLoading(object, oid)
                    defer { instances.endLoading(place) }
                    try layout.decode(object, from: &decoder)
                    noteLoaded(object, record, bytes: decoder.reader.bytes.count)
                    return object
                }
            }
            let object = try instance(
                oid, className: try RecordHead(&decoder.reader).className, expecting: type)
            decoder.reader.position = 0
            if object.objectStatus == .ghost { try fill(object, from: &decoder, record) }
            return object
        }
    }

    /// The one instance of an object: a known one, or a ghost.
    ///
    /// - Parameter type: the class that is expected, which becomes known by that.
    @inline(never)
    func instance(_ oid: OID, className: String, expecting type: PersistentObject.Type? = nil) throws
        -> PersistentObject
    {
        if let known = instances[oid], !isReplaceable(known, type) { return known }
        let object: PersistentObject
        if let type, type.className == className {
            object = type.ghost(oid)
        } else if let type = ClassRegistry.find(className) {
            object = type.ghost(oid)
        } else {
            object = UnknownObject(oid, className: className)
        }
        enter(object, oid)
        return object
    }

    /// Whether a placeholder gives way to an instance of its class, which is known now.
    private func isReplaceable(_ known: PersistentObject, _ type: PersistentObject.Type?) -> Bool {
        guard let known = known as? UnknownObject else { return false }
        return type?.className == known.storedClassName || ClassRegistry.find(known.storedClassName) != nil
    }

    private func enter(_ object: PersistentObject, _ oid: OID) {
        object.connection = self
        instances.insert(object, oid)
    }

    func known(_ oid: OID) -> PersistentObject? { instances[oid] }

    // MARK: Loading

    /// Loads an object's state from the snapshot.
    func load(_ object: PersistentObject) throws {
        guard let oid = object.oid else { throw DatabaseError.notAdded(name: object.objectLabel) }
        guard let record = try snapshot.record(RecordKey(oid)) else {
            throw DatabaseError.missingObject(path: path, oid: oid)
        }
        try decode(record) { try fill(object, from: &$0, record) }
    }

    private func fill(_ object: PersistentObject, from decoder: inout StateDecoder, _ record: StoredRecord)
        throws
    {
        try object.decodeRecord(&decoder)
        noteLoaded(object, record, bytes: decoder.reader.bytes.count)
    }

    private func noteLoaded(_ object: PersistentObject, _ record: StoredRecord, bytes: Int) {
        object.storedVersion = record.tid
        object.objectStatus = .saved
        object.isRemoved = false
        // Sticky objects are held by those who need them: an array file lets go of its memory when nobody does.
        if !object.isSticky { instances.use(object, bytes: bytes) }
    }

    /// The object that a record refers to.
    func reference(in record: StoredRecord, expecting type: PersistentObject.Type? = nil) throws
        -> PersistentObject
    {
        try decode(record) { try ReferenceDecoder(connection: self).decode(&$0.reader, as: type) }
    }

    /// Reads a record; what is wrong with it becomes an error that names the object.
    func decode<R>(_ record: StoredRecord, _ body: (inout StateDecoder) throws -> R) throws -> R {
        guard case .state(let bytes) = record.value else {
            throw DatabaseError.unreadable(
                path: path, oid: record.key.oid, reason: "\(record.key.part) is no state")
        }
        return try decode(bytes, of: record.key.oid, body)
    }

    func decode<R>(
        _ bytes: [UInt8], at position: Int = 0, of oid: OID, _ body: (inout StateDecoder) throws -> R
    ) throws -> R {
        var decoder = StateDecoder(bytes, connection: self)
        decoder.reader.position = position
        do {
            return try body(&decoder)
        } catch let error as CBORReader.Malformed {
            throw DatabaseError.unreadable(path: path, oid: oid, reason: error.description)
        } catch let error as DecodingError {
            throw DatabaseError.unreadable(path: path, oid: oid, reason: "\(error)")
        }
    }
}
