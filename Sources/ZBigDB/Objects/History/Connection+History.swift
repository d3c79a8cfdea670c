extension Connection {
    /// What transactions made of an object, the newest first (behaviour H27): its states, and of maps and arrays the
    /// entries and blocks that changed.
    ///
    /// Versions that were packed away are missing. In a database that keeps no history there is one state, and what
    /// the log says of entries and blocks.
    ///
    /// - Parameters:
    ///   - object: one of this connection.
    ///   - before: only transactions before this one: the last of a page, for the next page.
    ///   - limit: how many at most.
    /// - Throws: ``DatabaseError/notAdded(name:)``, ``StorageError``.
    /// - Complexity: O(limit · log n) for objects; for maps, arrays and the root O(transactions in the log) at worst.
    public func history(of object: some PersistentReference, before: TID? = nil, limit: Int = 20) throws
        -> [ObjectVersion]
    {
        let object = object.persistentObject
        guard let oid = object.oid else { throw DatabaseError.notAdded(name: object.objectLabel) }
        return try history(of: oid, before: before, limit: limit)
    }

    /// The same for the object with this number, which may have been removed meanwhile.
    ///
    /// - Throws: ``StorageError``.
    public func history(of oid: OID, before: TID? = nil, limit: Int = 20) throws -> [ObjectVersion] {
        var walk = HistoryWalk(self, try snapshot, oid, limit: limit)
        let end = try snapshot.tid.next
        return try walk.run(before: before.map { min($0, end) } ?? end)
    }
}

/// Collects the versions of one object.
private struct HistoryWalk {
    private static let pageLength = 256

    private let connection: Connection
    private let snapshot: any StorageSnapshot
    private let oid: OID
    private let limit: Int
    private var versions: [ObjectVersion] = []

    init(_ connection: Connection, _ snapshot: any StorageSnapshot, _ oid: OID, limit: Int) {
        self.connection = connection
        self.snapshot = snapshot
        self.oid = oid
        self.limit = limit
    }

    mutating func run(before: TID) throws -> [ObjectVersion] {
        var before = before
        if let parts = try parts() { before = try walkLog(before, parts) }
        try walkStates(before)
        return versions
    }

    /// The objects whose parts belong to it; nil if it has none.
    private func parts() throws -> [OID]? {
        let newest = try snapshot.versions(of: RecordKey(oid), before: snapshot.tid.next, limit: 2)
        guard let record = newest.first(where: { $0.value != .removed }) else { return nil }
        guard let state = try state(record) else { return nil }
        switch state.className {
        case Root.className, MapObject.className, ListObject.className, ZBigFile.className: return [oid]
        case BigArray.className:
            guard case .map(let fields) = state.properties,
                case .reference(let file, _) = fields.first(where: { $0.key == .text("file") })?.value
            else { return nil }
            return [oid, file]
        default: return nil
        }
    }

    /// Goes through the log; returns where it ends.
    private mutating func walkLog(_ before: TID, _ oids: [OID]) throws -> TID {
        var before = before
        while true {
            let page = try snapshot.transactions(before: before, limit: Self.pageLength)
            for record in page {
                if versions.count == limit { return record.tid }
                before = record.tid
                let changes = oids.compactMap { record.changes.objects[$0] }
                if changes.isEmpty { continue }
                var version = try record.changes.objects[oid]?.state == true ? stateVersion(record.tid) : nil
                version = version ?? ObjectVersion(tid: record.tid)
                version?.entries = changes.flatMap(\.entries).map { StoredValue(key: $0) }
                version?.blocks = changes.flatMap(\.blocks)
                if let version { versions.append(version.described(by: record)) }
            }
            if page.count < Self.pageLength { return before }
        }
    }

    /// What the transaction stored as the object's state, if it is kept.
    private func stateVersion(_ tid: TID) throws -> ObjectVersion? {
        let record = try snapshot.versions(of: RecordKey(oid), before: tid.next, limit: 1).first
        return try record.flatMap { $0.tid == tid ? try version($0) : nil }
    }

    private mutating func walkStates(_ before: TID) throws {
        let records = try snapshot.versions(of: RecordKey(oid), before: before, limit: limit - versions.count)
        for record in records {
            let logged = try snapshot.transactions(before: record.tid.next, limit: 1).first
            let version = try version(record)
            versions.append(logged?.tid == record.tid ? version.described(by: logged) : version)
        }
    }

    private func version(_ record: StoredRecord) throws -> ObjectVersion {
        var version = ObjectVersion(tid: record.tid)
        version.state = try state(record)
        version.isRemoval = record.value == .removed
        if case .state(let bytes) = record.value { version.size = bytes.count }
        return version
    }

    private func state(_ record: StoredRecord) throws -> StoredState? {
        if record.value == .removed { return nil }
        return try connection.decode(record) { decoder in
            let head = try RecordHead(&decoder.reader)
            return StoredState(
                className: head.className, version: head.stateVersion,
                properties: StoredValue(try decoder.reader.value()))
        }
    }
}

extension ObjectVersion {
    fileprivate func described(by record: TransactionRecord?) -> ObjectVersion {
        guard let record else { return self }
        var version = self
        (version.user, version.note, version.metadata) = (record.user, record.note, record.metadata)
        return version
    }
}
