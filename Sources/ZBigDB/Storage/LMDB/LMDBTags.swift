internal import CLMDB

/// A moment that has a name.
public struct Tag: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// The last transaction it shows.
    public let tid: TID
}

// Tags are counters of `meta`: they belong to the file, not to its history, and what they name
// is kept as long as they are there.

extension LMDBStorage {
    private static let longestTagName = 255

    func tags() throws(StorageError) -> [Tag] {
        unsafe try environment.read { transaction throws(StorageError) in try unsafe tags(transaction) }
    }

    func tags(_ transaction: LMDBTransaction) throws(StorageError) -> [Tag] {
        let prefix = FileFormat.MetaKey.tag
        let cursor = try unsafe transaction.cursor(format.meta)
        var tags: [Tag] = []
        var entry = unsafe try cursor.seek(prefix)
        while let at = unsafe entry, unsafe at.key.starts(with: prefix) {
            let name = unsafe String(decoding: at.key.dropFirst(prefix.count), as: UTF8.self)
            let tid = try unsafe transaction.counter(format.meta, at.key)
            tags.append(Tag(name: name, tid: TID(rawValue: tid)))
            unsafe entry = try cursor.next()
        }
        return tags
    }

    func tid(ofTag name: String, _ transaction: LMDBTransaction) throws -> TID {
        // No transaction has number 0.
        let tid = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.tag + Array(name.utf8))
        guard tid > 0, !name.isEmpty else { throw HistoryError.noSuchTag(path: path, name: name) }
        return TID(rawValue: tid)
    }

    /// - Throws: ``HistoryError``, ``StorageError``.
    func addTag(_ name: String, at moment: Moment?) throws -> Tag {
        guard !name.isEmpty, name.utf8.count <= Self.longestTagName else {
            throw StorageError.keyTooLong(length: name.utf8.count, limit: Self.longestTagName)
        }
        guard keepsHistory else {
            throw HistoryError.noHistory(path: path, last: try LMDBSnapshot(self).tid)
        }
        // With the commit lock no packing can begin that does not know of the tag.
        return try unsafe changeTags { transaction in
            let key = FileFormat.MetaKey.tag + Array(name.utf8)
            guard try unsafe transaction.counter(format.meta, key) == 0 else {
                throw HistoryError.tagExists(path: path, name: name)
            }
            let last = try unsafe transaction.counter(format.meta, FileFormat.MetaKey.lastTID)
            let tid = try unsafe tid(of: moment ?? .transaction(TID(rawValue: last)), transaction)
            try unsafe transaction.setCounter(format.meta, key, tid.rawValue)
            return Tag(name: name, tid: tid)
        }
    }

    /// - Throws: ``HistoryError/noSuchTag(path:name:)``, ``StorageError``.
    func removeTag(_ name: String) throws {
        try unsafe changeTags { transaction in
            _ = try unsafe tid(ofTag: name, transaction)
            try unsafe transaction.delete(format.meta, FileFormat.MetaKey.tag + Array(name.utf8))
        }
    }

    private func changeTags<R>(_ body: (LMDBTransaction) throws -> R) throws -> R {
        if isReadOnly { throw StorageError.readOnly(path: path) }
        return unsafe try writeAlone(body)
    }
}
