/// Goes through the entries of a map, stored ones and this transaction's changes brought together, with a
/// small buffer. Changes made meanwhile are not seen.
struct EntryIterator {
    /// Entries that come next.
    enum Run {
        /// Those of ``batch`` at these places.
        case stored(Range<Int>)
        case changed(key: [UInt8], MapObject.Change)
    }

    private let object: MapObject
    private var range: SubkeyRange
    private let reversed: Bool
    private let changed: [[UInt8]]
    private var nextChanged = 0
    private(set) var batch = EntryBatch(isLast: false)
    private var nextStored = 0
    private var batchSize: Int

    private static let largestBatch = 2048

    init(_ object: MapObject, _ range: SubkeyRange, reversed: Bool, batch: Int = 32) {
        self.object = object
        self.range = range
        self.reversed = reversed
        batchSize = batch
        changed = object.changedKeys(range, reversed: reversed)
    }

    /// The stored entries up to the next change, or a change; nil at the end.
    mutating func next() throws -> Run? {
        while true {
            if nextStored == batch.count, !batch.isLast { try fetch() }
            guard nextChanged < changed.count else { return takeStored(upTo: batch.count) }
            let key = changed[nextChanged]
            let place = batch.place(of: key, from: nextStored, reversed: reversed)
            if let run = takeStored(upTo: place) { return run }
            // It comes next, or takes the place of the one that does.
            if nextStored < batch.count, batch.isKey(key, at: nextStored) { nextStored += 1 }
            nextChanged += 1
            guard let change = object.change(of: key), !change.isRemoval else { continue }
            return .changed(key: key, change)
        }
    }

    private mutating func takeStored(upTo end: Int) -> Run? {
        guard nextStored < end else { return nil }
        defer { nextStored = end }
        return .stored(nextStored..<end)
    }

    private mutating func fetch() throws {
        if batch.count > 0 {
            let last = batch.key(batch.count - 1)
            if reversed { range.to = last } else { range.from = SubkeyRange.successor(of: last) }
            batchSize = min(batchSize * 4, Self.largestBatch)
        }
        batch = try object.storedEntries(range, reversed: reversed, limit: batchSize)
        nextStored = 0
    }
}
