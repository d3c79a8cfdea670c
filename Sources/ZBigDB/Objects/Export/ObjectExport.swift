extension Connection {
    /// Writes objects, and all they lead to, into a file that ``importObjects(from:progress:)`` reads, in this database
    /// or another (behaviour H34). Any tool for CBOR can read it as well.
    ///
    /// It has what this connection's snapshot has, without changes of the current transaction. References to the root are kept
    /// as such, and do not lead on. The file appears when it is complete.
    ///
    /// - Parameters:
    ///   - roots: where to begin, under names that the import returns them by.
    ///   - path: the file, which must not be there.
    ///   - progress: called for every object; what it throws ends the export.
    /// - Throws: ``DatabaseError/notAdded(name:)`` for an object that was never committed, ``DatabaseError/foreignObject(name:path:)``,
    ///   ``DatabaseError/missingObject(path:oid:)`` where a reference leads nowhere, ``StorageError``.
    /// - Complexity: O(objects, entries and bytes of arrays · log n); memory for the numbers of the objects.
    @discardableResult
    public func exportObjects(
        _ roots: [String: any PersistentReference], to path: String,
        progress: (ExportProgress) throws -> Void = { _ in }
    ) throws -> ExportReport {
        var export = ObjectExport(self, try snapshot, try OutputFile(path))
        return try export.run(roots, progress)
    }
}

/// Goes from object to object, those first that were found first.
private struct ObjectExport {
    private static let pageLength = 1000

    private let connection: Connection
    private let snapshot: any StorageSnapshot
    private let file: OutputFile
    private var queue: [OID] = []
    private var seen = OIDSet()
    private var items = 0
    private var report = ExportReport()

    init(_ connection: Connection, _ snapshot: any StorageSnapshot, _ file: OutputFile) {
        self.connection = connection
        self.snapshot = snapshot
        self.file = file
    }

    mutating func run(
        _ roots: [String: any PersistentReference], _ progress: (ExportProgress) throws -> Void
    ) throws -> ExportReport {
        // Nobody may take the root for an object of its own.
        _ = seen.insert(.root)
        var names: [ExportItem.Name] = []
        for (name, root) in roots.sorted(by: { $0.key < $1.key }) {
            let oid = try number(of: root.persistentObject)
            names.append(ExportItem.Name(name: name, oid: oid))
            if seen.insert(oid) { queue.append(oid) }
        }
        try write(.start(names))
        while report.objects < queue.count {
            try export(queue[report.objects])
            report.objects += 1
            try progress(ExportProgress(objects: report.objects, known: queue.count, bytes: file.count))
        }
        try file.append(ExportItem.end(items: items, checksum: file.checksum).encoded)
        try file.finish()
        report.bytes = file.count
        return report
    }

    private func number(of object: PersistentObject) throws -> OID {
        guard let oid = object.oid else { throw DatabaseError.notAdded(name: object.objectLabel) }
        guard object.connection === connection else {
            throw DatabaseError.foreignObject(
                name: object.objectLabel, path: object.connection?.path ?? "a closed connection")
        }
        if oid == .root {
            throw DatabaseError.wrongClass(
                what: "what is exported", expected: "an object with a name", found: Root.className)
        }
        guard try snapshot.record(RecordKey(oid)) != nil else {
            throw DatabaseError.notAdded(name: object.objectLabel)
        }
        return oid
    }

    private mutating func write(_ item: ExportItem) throws {
        try file.append(item.encoded)
        items += 1
    }

    private mutating func export(_ oid: OID) throws {
        guard let record = try snapshot.record(RecordKey(oid)), case .state(let state) = record.value else {
            throw DatabaseError.missingObject(path: connection.path, oid: oid)
        }
        try follow(state, of: oid)
        try write(.object(oid, record: state))
        switch try connection.decode(record, { try RecordHead(&$0.reader).className }) {
        case MapObject.className: try exportEntries(of: oid)
        case ListObject.className: try exportElements(of: oid)
        case ZBigFile.className: try exportBlocks(of: oid, record)
        default: break
        }
    }

    /// What a state or value refers to is exported as well.
    private mutating func follow(_ bytes: [UInt8], of oid: OID) throws {
        var found: [OID] = []
        do {
            try ReferenceScanner.scan(bytes) { found.append($0) }
        } catch {
            throw DatabaseError.unreadable(path: connection.path, oid: oid, reason: "its references")
        }
        for oid in found where seen.insert(oid) { queue.append(oid) }
    }

    private mutating func exportEntries(of oid: OID) throws {
        var range = SubkeyRange()
        while true {
            let batch = try snapshot.entries(
                of: oid, in: range, reversed: false, limit: Self.pageLength)
            for index in 0..<batch.count {
                let value = Array(batch.bytes[batch.valueRange(index)])
                try follow(value, of: oid)
                try write(.entry(oid, key: batch.key(index), value: value))
            }
            report.entries += batch.count
            if batch.isLast { return }
            range.from = SubkeyRange.successor(of: batch.key(batch.count - 1))
        }
    }

    private mutating func exportElements(of oid: OID) throws {
        let source = ListSource(snapshot: snapshot, oid: oid, path: connection.path)
        let tree = try ListTree(source)
        var walk = ListWalk(tree, source, 0..<tree.count, reversed: false)
        while let run = try walk.next() {
            let items = run.items[run.places]
            try follow(items.bytes, of: oid)
            try write(.elements(oid, count: items.count, items.bytes))
            report.entries += items.count
        }
    }

    private mutating func exportBlocks(of oid: OID, _ record: StoredRecord) throws {
        // It has no references, so it needs no connection.
        let file = ZBigFile(ghost: oid)
        try connection.decode(record) { try file.decodeRecord(&$0) }
        var from: [UInt8] = []
        while true {
            let page = try snapshot.parts(of: oid, from: from, limit: Self.pageLength)
            for part in page {
                guard let number = part.key.block, let recipe = part.value.recipe else { continue }
                let bytes = try snapshot.bytes(recipe, ofBlock: number, blockSize: file.blockSize)
                if bytes.isEmpty { continue }
                try write(.block(oid, number, bytes))
                report.blocks += 1
            }
            guard let last = page.last, page.count == Self.pageLength else { return }
            from = last.key.subkey + [0]
        }
    }
}
