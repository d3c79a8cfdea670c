/// Changes of records, in the order they were added: subkeys and values back to back in one buffer, as a transaction may
/// have a million of them.
struct RecordWrites: Sendable {
    private struct Item: Sendable {
        let oid: OID
        let base: TID?
        let isBlind: Bool
        let subkeyCount: UInt32
        /// Where the subkey begins; the encoded value follows it.
        let start: Int
        /// 0: the record is removed.
        let valueCount: Int
        /// The place in `recipes`, of a block.
        var recipe: Int32 = -1

        var middle: Int { start + Int(subkeyCount) }
    }

    private var bytes: [UInt8] = []
    private var items: [Item] = []
    private var recipes: [BlockRecipe] = []

    /// Bytes of all subkeys and values.
    var byteCount: Int { bytes.count }

    /// The record with the largest value, with its bytes, if it has more than `limit`.
    func largest(above limit: Int) -> (key: RecordKey, bytes: Int)? {
        guard byteCount > limit, let item = items.max(by: { $0.valueCount < $1.valueCount }),
            item.valueCount > limit
        else { return nil }
        return (RecordKey(item.oid, Array(bytes[item.start..<item.middle])), item.valueCount)
    }

    mutating func reserve(_ count: Int, bytes byteCount: Int) {
        items.reserveCapacity(items.count + count)
        bytes.reserveCapacity(bytes.count + byteCount)
    }

    mutating func append(_ write: RecordWrite) { items.append(item(for: write)) }

    mutating func append(contentsOf writes: some Sequence<RecordWrite>) {
        for write in writes { append(write) }
    }

    /// Adds an object's own state.
    mutating func append(stateOf oid: OID, _ state: [UInt8], base: TID?) {
        let start = bytes.count
        bytes.append(RecordValue.stateTag)
        bytes.append(contentsOf: state)
        items.append(
            Item(
                oid: oid, base: base, isBlind: false, subkeyCount: 0, start: start,
                valueCount: 1 + state.count))
    }

    /// Adds an entry whose base was not looked at; without a state it is removed.
    mutating func append(
        entryOf oid: OID, _ subkey: UnsafeRawBufferPointer, state: UnsafeRawBufferPointer?
    ) {
        let start = bytes.count
        unsafe bytes.append(contentsOf: subkey)
        if let state = unsafe state {
            bytes.append(RecordValue.stateTag)
            unsafe bytes.append(contentsOf: state)
        }
        items.append(
            Item(
                oid: oid, base: nil, isBlind: true, subkeyCount: UInt32(subkey.count), start: start,
                valueCount: bytes.count - start - subkey.count))
    }

    private mutating func item(for write: RecordWrite) -> Item {
        let start = bytes.count
        bytes.append(contentsOf: write.key.subkey)
        if let value = write.value { bytes.append(contentsOf: value.encoded()) }
        var item = Item(
            oid: write.key.oid, base: write.base, isBlind: write.isBlind,
            subkeyCount: UInt32(write.key.subkey.count), start: start,
            valueCount: bytes.count - start - write.key.subkey.count)
        if let recipe = write.value?.recipe {
            item.recipe = Int32(recipes.count)
            recipes.append(recipe)
        }
        return item
    }

    /// Brings them into the order of keys, at the cost of one pass if they are in it already.
    mutating func sort() {
        unsafe bytes.withUnsafeBytes { bytes in
            func precedes(_ a: Item, _ b: Item) -> Bool {
                if a.oid != b.oid { return a.oid < b.oid }
                let (a, b) = (a.start..<a.middle, b.start..<b.middle)
                return unsafe UnsafeRawBufferPointer(rebasing: bytes[a]).compare(
                    UnsafeRawBufferPointer(rebasing: bytes[b])) < 0
            }
            var index = 1
            while index < items.count {
                if precedes(items[index], items[index - 1]) { return items.sort(by: precedes) }
                index += 1
            }
        }
    }

    // MARK: In place

    /// One of them where it lies.
    @unsafe
    struct Place {
        let oid: OID
        let subkey: UnsafeRawBufferPointer
        /// Encoded; nil: the record is removed.
        let value: UnsafeRawBufferPointer?
        /// The recipe, if it is a block's.
        let recipe: BlockRecipe?
    }

    /// Calls `body` with each of them.
    func forEachPlace<E: Error>(_ body: (Place) throws(E) -> Void) throws(E) {
        try unsafe bytes.withRawBytes { bytes throws(E) in
            for item in items {
                let value = unsafe UnsafeRawBufferPointer(
                    rebasing: bytes[item.middle..<(item.middle + item.valueCount)])
                let place = unsafe Place(
                    oid: item.oid, subkey: UnsafeRawBufferPointer(rebasing: bytes[item.start..<item.middle]),
                    value: item.valueCount == 0 ? nil : value,
                    recipe: item.recipe < 0 ? nil : recipes[Int(item.recipe)])
                try unsafe body(place)
            }
        }
    }
}

extension RecordWrites: RandomAccessCollection, MutableCollection, ExpressibleByArrayLiteral {
    init(arrayLiteral writes: RecordWrite...) { self.init(writes) }

    init(_ writes: some Sequence<RecordWrite>) { append(contentsOf: writes) }

    var startIndex: Int { 0 }
    var endIndex: Int { items.count }

    /// One of them, copied.
    subscript(index: Int) -> RecordWrite {
        get {
            let item = items[index]
            return RecordWrite(
                key: key(index), value: value(item), base: item.base, isBlind: item.isBlind)
        }
        set { items[index] = item(for: newValue) }
    }

    func key(_ index: Int) -> RecordKey {
        let item = items[index]
        return RecordKey(item.oid, Array(bytes[item.start..<item.middle]))
    }

    func base(_ index: Int) -> TID? { items[index].base }
    func isBlind(_ index: Int) -> Bool { items[index].isBlind }

    private func value(_ item: Item) -> RecordValue? {
        if item.valueCount == 0 { return nil }
        if item.recipe >= 0 { return .block(recipes[Int(item.recipe)]) }
        guard bytes[item.middle] == RecordValue.stateTag else { return .removed }
        return .state(Array(bytes[(item.middle + 1)..<(item.middle + item.valueCount)]))
    }
}
