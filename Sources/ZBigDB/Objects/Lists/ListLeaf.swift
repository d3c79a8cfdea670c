/// Elements of a list one after the other, those of a leaf or on their way into leaves: encoded, back to back, each one item of CBOR.
/// Those of a list that is in no database yet are kept as values, because references cannot be written there.
struct ListLeaf {
    private(set) var bytes: [UInt8] = []
    /// Where each encoded element ends in `bytes`.
    private var ends: [Int] = []
    /// Elements that cannot be encoded yet; then there are no others.
    private(set) var kept: [any PersistentValue] = []

    init() {}

    /// Encoded elements.
    init(bytes: [UInt8], ends: [Int]) {
        self.bytes = bytes
        self.ends = ends
    }

    init(kept: [any PersistentValue]) { self.kept = kept }

    /// Reads `count` items up to the end of the reader's bytes.
    init(_ count: Int, from reader: inout CBORReader) throws(CBORReader.Malformed) {
        let start = reader.position
        ends.reserveCapacity(count)
        for _ in 0..<count {
            try reader.pass()
            ends.append(reader.position - start)
        }
        guard reader.isAtEnd else { throw CBORReader.Malformed(description: "bytes are left over") }
        bytes = start == 0 ? reader.bytes : Array(reader.bytes[start...])
    }

    var count: Int { ends.count + kept.count }
    var isEmpty: Bool { ends.isEmpty && kept.isEmpty }

    /// Where an encoded element begins in ``bytes``; that of the one behind the last is the end.
    func start(_ index: Int) -> Int { index == 0 ? 0 : ends[index - 1] }

    /// The elements at some places.
    subscript(places: Range<Int>) -> ListLeaf {
        if !kept.isEmpty { return ListLeaf(kept: Array(kept[places])) }
        let start = start(places.lowerBound)
        return ListLeaf(
            bytes: Array(bytes[start..<self.start(places.upperBound)]), ends: ends[places].map { $0 - start })
    }

    /// Puts elements in the place of others.
    mutating func replace(_ places: Range<Int>, with items: ListLeaf) {
        if !items.kept.isEmpty || !kept.isEmpty {
            kept.replaceSubrange(places, with: items.kept)
            return
        }
        let (start, end) = (start(places.lowerBound), self.start(places.upperBound))
        let growth = items.bytes.count - (end - start)
        if start == bytes.count {
            bytes.append(contentsOf: items.bytes)
        } else {
            bytes.replaceSubrange(start..<end, with: items.bytes)
        }
        if places.isEmpty, items.count == 1 {
            ends.insert(start + items.bytes.count, at: places.lowerBound)
        } else {
            ends.replaceSubrange(places, with: items.ends.map { $0 + start })
        }
        if growth == 0 { return }
        for index in (places.lowerBound + items.count)..<max(ends.count, places.lowerBound + items.count) {
            ends[index] += growth
        }
    }

    mutating func append(_ items: ListLeaf) { replace(count..<count, with: items) }
}

// MARK: How much a leaf holds

extension ListLeaf {
    /// What each element weighs besides its bytes: it limits the number of small elements in a leaf.
    private static let itemWeight = 6
    /// What a leaf may weigh. Two full leaves fit into a page of the storage.
    static let limit = 1980

    /// Bytes, and something for each element.
    var weight: Int { bytes.count + Self.itemWeight * count }

    /// Whether they can stay in one leaf. Replacing an element may make it heavier than inserting, because splitting
    /// a leaf changes its neighbourhood: then others that insert or remove would conflict.
    func fits(afterReplacing: Bool = false) -> Bool {
        count < 2 || weight <= (afterReplacing ? Self.limit * 3 / 2 : Self.limit)
    }

    /// Whether they should share a leaf with neighbours.
    var isSparse: Bool { weight < Self.limit / 4 }

    /// Where a leaf that is too large is divided.
    enum Division {
        /// Elements come at the end of the list: leaves are filled as they come.
        case last
        /// The same at the beginning.
        case first
        case even
    }

    /// The elements in pieces that fit into leaves.
    func divided(_ division: Division) -> [ListLeaf] {
        var cuts = [0]
        switch division {
        case .even:
            let pieces = max(2, (weight * 4 + 3 * Self.limit - 1) / (3 * Self.limit))
            let target = (weight + pieces - 1) / pieces
            var passed = 0
            for index in 0..<count {
                let own = weight(index)
                if index > cuts[cuts.count - 1], passed + own / 2 >= target * cuts.count {
                    cuts.append(index)
                }
                passed += own
            }
        case .last: cut(0..<count, into: &cuts)
        case .first:
            var ends: [Int] = []
            cut((0..<count).reversed(), into: &ends)
            cuts += ends.reversed().map { $0 + 1 }
        }
        return zip(cuts, cuts.dropFirst() + [count]).map { self[$0..<$1] }
    }

    /// Notes the first place of each piece but the first.
    private func cut(_ places: some Sequence<Int>, into cuts: inout [Int]) {
        var weight = 0
        for index in places {
            let own = self.weight(index)
            if weight > 0, weight + own > Self.limit {
                cuts.append(index)
                weight = 0
            }
            weight += own
        }
    }

    private func weight(_ index: Int) -> Int {
        Self.itemWeight + (kept.isEmpty ? start(index + 1) - start(index) : 0)
    }
}

extension CBORReader {
    /// Passes over the next item; quicker than ``skip(depth:)`` for numbers and short texts.
    mutating func pass() throws(Malformed) {
        guard position < bytes.count else { throw .endsEarly }
        let low = Int(bytes[position] & 0x1f)
        let kind = bytes[position] >> 5
        let size: Int
        if kind < 2 || kind == 7, low < 28 {
            size = low < 24 ? 1 : 1 + 1 << (low - 24)
        } else if kind == 2 || kind == 3, low < 24 {
            size = 1 + low
        } else {
            try skip()
            return
        }
        guard size <= bytes.count - position else { throw .endsEarly }
        position += size
    }
}
