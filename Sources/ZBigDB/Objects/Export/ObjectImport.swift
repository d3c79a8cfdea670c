extension Connection {
    /// Reads the objects of a file that ``exportObjects(_:to:progress:)`` wrote, as new objects with numbers of their own
    /// (behaviour H34).
    ///
    /// They belong to the current transaction and are stored with it, if something refers to them or not. The file is checked as a whole
    /// first. If something is wrong, or the transaction is taken back, nothing of them stays. Objects of classes that this program
    /// does not have are imported as they are.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - progress: called for every object; what it throws ends the import.
    /// - Returns: the objects that were exported by name.
    /// - Throws: ``ExportError``, ``StorageError``, ``DatabaseError/newerState(path:oid:className:found:known:)``,
    ///   `VirtMemError` where arrays cannot be written.
    /// - Complexity: O(bytes of the file). Objects, entries and elements are in memory until the commit; bytes of
    ///   arrays as far as the database's dirty budget allows.
    @discardableResult
    public func importObjects(from path: String, progress: (ExportProgress) throws -> Void = { _ in }) throws
        -> [String: PersistentObject]
    {
        try requireChangeable()
        let outline = try ExportOutline(path)
        let savepoint = try transactionManager.current().savepoint(optimistic: true)
        do {
            var objects = ObjectImport(self, outline)
            return try objects.run(path, progress)
        } catch {
            try savepoint.rollback()
            throw error
        }
    }

    /// A new object that gets its state from an import.
    fileprivate func makeImported(_ className: String) throws -> PersistentObject {
        try joinTransaction()
        let oid = try nextNumber()
        let object = ClassRegistry.find(className)?.ghost(oid) ?? UnknownObject(oid, className: className)
        object.connection = self
        object.objectStatus = .changed
        object.isImported = true
        instances.add(object, oid)
        added.append(object)
        changed.append(object)
        return object
    }
}

/// What a file of exported objects holds, and whether it is whole.
private struct ExportOutline {
    private(set) var names: [ExportItem.Name] = []
    private(set) var objects: [(oid: OID, className: String)] = []
    /// The blocks of each file end before this one.
    private(set) var blocks: [OID: Int] = [:]

    /// Blocks have lower numbers.
    private static let mostBlocks = 1 << RecordKey.blockBits

    init(_ path: String) throws {
        var reader = try ExportReader(path)
        var known = Set<OID>()
        var items = 0
        var checksum: UInt32 = 0
        var isComplete = false
        while let item = try reader.next() {
            if isComplete { throw reader.damaged("something follows the end") }
            if (items == 0) != item.isStart { throw reader.damaged("it does not begin as it should") }
            switch item {
            case .start(let names): self.names = names
            case .object(let oid, let record):
                var head = CBORReader(record)
                guard oid != .root, known.insert(oid).inserted, let head = try? RecordHead(&head),
                    head.className != Root.className
                else { throw reader.damaged("object \(oid) cannot be read, or is there twice") }
                objects.append((oid, head.className))
            case .entry(let oid, _, _), .elements(let oid, _, _):
                if !known.contains(oid) {
                    throw reader.damaged("a part of object \(oid), which is not there")
                }
            case .block(let oid, let number, _):
                guard known.contains(oid), number >= 0, number < Self.mostBlocks else {
                    throw reader.damaged("block \(number) of object \(oid)")
                }
                blocks[oid] = max(blocks[oid] ?? 0, number + 1)
            case .end(let count, let sum):
                guard count == items, sum == checksum else { throw reader.damaged("its bytes were changed") }
                isComplete = true
            }
            items += 1
            checksum = reader.checksum
        }
        guard isComplete else { throw ExportError.truncated(path: path) }
        for name in names where !known.contains(name.oid) {
            throw ExportError.damaged(path: path, byte: 0, reason: "\"\(name.name)\" is not there")
        }
    }
}

/// Makes the objects, then gives each its state, entries, elements or blocks as they come.
private struct ObjectImport {
    /// No file that can be mapped has more bytes.
    private static let mostAddresses = 1 << 47

    private let connection: Connection
    private let outline: ExportOutline
    private var objects: [OID: PersistentObject] = [:]

    init(_ connection: Connection, _ outline: ExportOutline) {
        self.connection = connection
        self.outline = outline
    }

    mutating func run(_ path: String, _ progress: (ExportProgress) throws -> Void) throws
        -> [String: PersistentObject]
    {
        for (oid, className) in outline.objects { objects[oid] = try connection.makeImported(className) }
        var reader = try ExportReader(path)
        var done = 0
        while let item = try reader.next() {
            do {
                try take(item)
            } catch let error as CBORReader.Malformed {
                throw reader.damaged(error.description)
            } catch let error as DecodingError {
                throw reader.damaged("\(error)")
            } catch is ByteReader.Malformed {
                throw reader.damaged("its references cannot be read")
            }
            guard case .object = item else { continue }
            done += 1
            try progress(ExportProgress(objects: done, known: objects.count, bytes: reader.offset))
        }
        return Dictionary(outline.names.map { ($0.name, objects[$0.oid]) }) { $1 }.compactMapValues { $0 }
    }

    private func take(_ item: ExportItem) throws {
        switch item {
        case .start, .end: break
        case .object(let oid, let record):
            let object = try object(oid)
            var decoder = StateDecoder(try renumbered(record), connection: connection)
            try object.decodeRecord(&decoder)
        case .entry(let oid, let key, let value):
            guard let map = try object(oid) as? MapObject, RecordKey(oid, key).isEntry,
                key.count <= RecordKey.longestSubkey
            else { throw CBORReader.Malformed(description: "an entry of object \(oid)") }
            try map.put(key, try renumbered(value))
        case .elements(let oid, let count, let bytes):
            guard let list = try object(oid) as? ListObject, count >= 0, count <= bytes.count else {
                throw CBORReader.Malformed(description: "\(count) elements of object \(oid)")
            }
            var reader = CBORReader(try renumbered(bytes))
            try list.appendImported(try ListLeaf(count, from: &reader))
        case .block(let oid, let number, let bytes):
            let blocks = outline.blocks[oid] ?? 0
            guard let file = try object(oid) as? ZBigFile, bytes.count <= file.blockSize,
                file.blockSize > 0, blocks < Self.mostAddresses / file.blockSize
            else {
                throw CBORReader.Malformed(description: "block \(number) of object \(oid)")
            }
            try file.fill(number, with: bytes, blocks: blocks)
        }
    }

    private func object(_ oid: OID) throws -> PersistentObject {
        if let object = objects[oid] { return object }
        throw CBORReader.Malformed(description: "object \(oid) is not there")
    }

    /// The state with the numbers that the objects have here. The root is the root.
    private func renumbered(_ bytes: [UInt8]) throws -> [UInt8] {
        try ReferenceScanner.replacing(bytes) { oid in
            if oid == .root { return oid }
            guard let number = try object(oid).oid else { preconditionFailure("imported without a number") }
            return number
        }
    }
}

extension ExportItem {
    fileprivate var isStart: Bool { if case .start = self { true } else { false } }
}
