#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// What one committed transaction changed, as far as it is observed.
///
/// It says what changed, not how: look at it through a connection, which sees this transaction, and perhaps
/// later ones, from its next boundary on.
public struct CommittedChange: Sendable, Equatable {
    /// The database's file.
    public let path: String
    /// The transaction's number.
    public let tid: TID
    /// Who made it; may be empty.
    public let user: String
    /// Why; may be empty.
    public let note: String
    /// Further facts, by name.
    public let metadata: [String: String]
    /// What changed, by object. The blocks of an array are those of its ``BigArray/file``.
    public let objects: [OID: ObjectChange]

    /// When it was committed.
    public var date: Date { tid.date }

    /// Whether the object, an entry of the map or set, or an element of the array changed.
    public func contains(_ reference: some PersistentReference) -> Bool {
        let object = reference.persistentObject
        let file = (object as? BigArray)?.file.oid
        return [object.oid, file].contains { oid in oid.map { objects[$0] != nil } ?? false }
    }

    /// The keys of a map whose entries were added, changed or removed, in their order.
    ///
    /// - Throws: ``DatabaseError/unreadable(path:oid:reason:)`` if they are keys of another type.
    public func keys<Key: PersistentKey, Value>(of map: PersistentMap<Key, Value>) throws -> [Key] {
        try map.object.oid.map { try keys(of: $0) } ?? []
    }

    /// The elements of a set that were added or removed, in their order.
    ///
    /// - Throws: ``DatabaseError/unreadable(path:oid:reason:)`` if they are elements of another type.
    public func elements<Element: PersistentKey>(of set: PersistentSet<Element>) throws -> [Element] {
        try set.persistentObject.oid.map { try keys(of: $0) } ?? []
    }

    /// The changed keys of a map or set with this number; of ``OID/root``, the changed names.
    ///
    /// - Throws: ``DatabaseError/unreadable(path:oid:reason:)`` if they are keys of another type.
    public func keys<Key: PersistentKey>(of oid: OID, as type: Key.Type = Key.self) throws -> [Key] {
        do {
            return try (objects[oid]?.entries ?? []).map { entry in
                var decoder = KeyDecoder(entry)
                let key = try Key.decode(from: &decoder)
                if decoder.isAtEnd { return key }
                throw KeyDecoder.Malformed(description: "a key of more parts")
            }
        } catch let error as KeyDecoder.Malformed {
            throw DatabaseError.unreadable(path: path, oid: oid, reason: error.description)
        }
    }

    /// Runs of elements of an array that may have changed, in the order in which they lie in memory: the
    /// elements of all changed blocks.
    public func elements(of array: BigArray) -> [Range<Int>] {
        guard let oid = array.file.oid, let blocks = objects[oid]?.blocks else { return [] }
        let (block, item, end) = (array.file.blockSize, array.itemSize, array.count)
        var runs: [Range<Int>] = []
        for number in blocks {
            let run = (number * block / item)..<(((number + 1) * block + item - 1) / item)
            if let last = runs.last, last.upperBound >= run.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<run.upperBound
            } else {
                runs.append(run)
            }
        }
        return runs.map { $0.clamped(to: 0..<end) }.filter { !$0.isEmpty }
    }
}

/// What a transaction changed of one object.
public struct ObjectChange: Sendable, Hashable {
    /// Whether its own state changed; so it is also if the object is new, or gone.
    public let hasChangedState: Bool
    /// The changed blocks of an array's file, ascending.
    public let blocks: [Int]
    /// The encoded keys of changed entries, in their order.
    let entries: [[UInt8]]

    /// How many entries of a map or set, or nodes of a list, were added, changed or removed.
    public var changedEntries: Int { entries.count }
}
