/// Goes through the entries of a map, stored ones and this transaction's changes brought together, with a
/// small buffer. Changes made meanwhile are not seen.
struct EntryIterator {
    /// Where an entry is.
    enum Item {
        /// In ``batch``, at this index.
        case stored(Int)
        case changed(key: [UInt8], MapObject.Change)
    }

    private let object: MapObject
    private var range: SubkeyRange
    private let reversed: Bool
    private let changed: [[UInt8]]
    private var nextChanged = 0
    private(set) var batch = EntryBatch()
    private var nextStored = 0
    private var isLastBatch = false
    private var batchSize: Int

    private static let largestBatch = 512

    init(_ object: MapObject, _ range: SubkeyRange, reversed: Bool, batch: Int = 32) {
        self.object = object
        self.range = range
        self.reversed = reversed
        batchSize = batch
        changed = object.changedKeys(range, reversed: reversed)
    }

    mutating func next() throws -> Item? {
        while true {
            if nextStored == batch.count, !isLastBatch { try fetch() }
            if nextChanged == changed.count {
                guard nextStored < batch.count else { return nil }
                defer { nextStored += 1 }
                return .stored(nextStored)
            }
            let key = changed[nextChanged]
            if nextStored < batch.count {
                let stored = batch.key(nextStored)
                if stored != key, reversed ? key.precedes(stored) : stored.precedes(key) {
                    defer { nextStored += 1 }
                    return .stored(nextStored)
                }
                if stored == key { nextStored += 1 }
            }
            nextChanged += 1
            guard let change = object.change(of: key), !change.isRemoval else { continue }
            return .changed(key: key, change)
        }
    }

    private mutating func fetch() throws {
        if batch.count > 0 {
            let last = batch.key(batch.count - 1)
            if reversed { range.to = last } else { range.from = SubkeyRange.successor(of: last) }
            batchSize = min(batchSize * 4, Self.largestBatch)
        }
        batch = try object.storedEntries(range, reversed: reversed, limit: batchSize)
        nextStored = 0
        isLastBatch = batch.count < batchSize
    }

    func key(_ item: Item) -> [UInt8] {
        switch item {
        case .stored(let index): batch.key(index)
        case .changed(let key, _): key
        }
    }
}
