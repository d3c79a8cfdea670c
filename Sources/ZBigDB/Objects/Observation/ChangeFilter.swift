/// Which changes an observer wants.
enum ChangeFilter: Sendable {
    case all
    /// Everything of these objects.
    case objects([OID])
    /// Entries of a map or set.
    case entries(OID, SubkeyRange)
    /// Blocks of an array's file.
    case blocks(OID, Range<Int>)

    /// What it wants of a transaction; empty if nothing.
    func callAsFunction(_ changes: ChangeSet) -> [OID: ObjectChange] {
        switch self {
        case .all: return changes.objects.mapValues { ObjectChange($0) }
        case .objects(let oids):
            return oids.reduce(into: [:]) { found, oid in
                found[oid] = changes.objects[oid].map { ObjectChange($0) }
            }
        case .entries(let oid, let range):
            let entries = changes.objects[oid]?.entries.filter(range.contains) ?? []
            return entries.isEmpty ? [:] : [oid: ObjectChange(ChangeSet.Parts(entries: entries))]
        case .blocks(let oid, let range):
            let blocks = changes.objects[oid]?.blocks.filter(range.contains) ?? []
            return blocks.isEmpty ? [:] : [oid: ObjectChange(ChangeSet.Parts(blocks: blocks))]
        }
    }
}

extension ObjectChange {
    init(_ parts: ChangeSet.Parts) {
        self.init(hasChangedState: parts.state, blocks: parts.blocks, entries: parts.entries)
    }
}

extension CommittedChange {
    /// Nil if the filter wants nothing of it. What compaction moved is no change.
    init?(_ record: TransactionRecord, _ filter: ChangeFilter, path: String) {
        let objects = filter(record.changes)
        if objects.isEmpty { return nil }
        self.init(
            path: path, tid: record.tid, user: record.user, note: record.note, metadata: record.metadata,
            objects: objects)
    }
}
