/// What a transaction makes of the entries of a map: keys and values back to back in one buffer, found through a
/// table of hashes. A change costs no allocation of its own.
struct EntryChanges: Sendable {
    private enum Content: UInt8 { case put, removal, kept }

    private struct Item: Sendable {
        var keyStart: Int
        var valueStart: Int
        var valueCount: Int
        let keyCount: UInt32
        var content: Content

        var key: Range<Int> { keyStart..<(keyStart + Int(keyCount)) }
        var value: Range<Int> { valueStart..<(valueStart + valueCount) }
    }

    /// What becomes of an entry.
    enum Change {
        /// An encoded value.
        case put([UInt8])
        case removal
        /// A value that is kept elsewhere, under this number.
        case kept(Int)
    }

    private var bytes: [UInt8] = []
    /// Bytes of replaced values.
    private var wasted = 0
    private var items: [Item] = []
    /// Open addressing: half of the hash, and the number of the item plus 1; 0 where it is free.
    private var table: [UInt64] = []

    var isEmpty: Bool { items.isEmpty }
    var count: Int { items.count }
    /// Bytes of all keys and values.
    var byteCount: Int { bytes.count }

    // MARK: Looking

    /// The number of the item with this key.
    func find(_ key: [UInt8]) -> Int? {
        if items.isEmpty { return nil }
        return unsafe key.withUnsafeBytes { key in
            let slot = unsafe findSlot(of: key, Self.hash(key))
            return table[slot] == 0 ? nil : Self.index(table[slot])
        }
    }

    func key(_ index: Int) -> [UInt8] {
        let item = items[index]
        return Array(bytes[item.key])
    }

    func isRemoval(_ index: Int) -> Bool { items[index].content == .removal }

    func change(_ index: Int) -> Change {
        let item = items[index]
        return switch item.content {
        case .put: .put(Array(bytes[item.value]))
        case .removal: .removal
        case .kept: .kept(item.valueStart)
        }
    }

    /// The numbers of all items, in the order of their keys.
    func ordered() -> [UInt32] {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe SubkeyOrder.sorted(items.count) { index in
                let item = items[index]
                return unsafe UnsafeRawBufferPointer(
                    rebasing: bytes[item.key])
            }
        }
    }

    /// Adds an item, which is not kept elsewhere, to what a commit writes.
    func append(_ index: Int, of oid: OID, to writes: inout RecordWrites) {
        let item = items[index]
        unsafe bytes.withUnsafeBytes { bytes in
            let key = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[item.key])
            let value = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[item.value])
            unsafe writes.append(entryOf: oid, key, state: item.content == .removal ? nil : value)
        }
    }

    // MARK: Changing

    /// Each returns whether the key is new.
    @discardableResult
    mutating func put(_ key: [UInt8], _ value: [UInt8]) -> Bool {
        let (index, isNew) = place(key)
        waste(index)
        let old = items[index]
        items[index].content = .put
        items[index].valueCount = value.count
        if old.content == .put, value.count <= old.valueCount {
            unsafe bytes.withUnsafeMutableBytes { bytes in
                let place = old.valueStart..<(old.valueStart + value.count)
                unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[place]).copyBytes(from: value)
            }
            wasted -= value.count
        } else {
            items[index].valueStart = bytes.count
            bytes.append(contentsOf: value)
            compactIfNeeded()
        }
        return isNew
    }

    @discardableResult
    mutating func remove(_ key: [UInt8]) -> Bool { set(key, .removal, 0) }

    @discardableResult
    mutating func keep(_ key: [UInt8], as number: Int) -> Bool { set(key, .kept, number) }

    private mutating func set(_ key: [UInt8], _ content: Content, _ start: Int) -> Bool {
        let (index, isNew) = place(key)
        waste(index)
        items[index].content = content
        items[index].valueStart = start
        items[index].valueCount = 0
        return isNew
    }

    private mutating func waste(_ index: Int) {
        if items[index].content == .put { wasted += items[index].valueCount }
    }

    /// The item of a key; a new one is a removal.
    private mutating func place(_ key: [UInt8]) -> (Int, isNew: Bool) {
        if 2 * (items.count + 1) > table.count { growTable() }
        let (slot, hash) = unsafe key.withUnsafeBytes { key in
            let hash = unsafe Self.hash(key)
            return unsafe (findSlot(of: key, hash), hash)
        }
        if table[slot] != 0 { return (Self.index(table[slot]), false) }
        items.append(
            Item(
                keyStart: bytes.count, valueStart: 0, valueCount: 0, keyCount: UInt32(key.count),
                content: .removal))
        bytes.append(contentsOf: key)
        table[slot] = UInt64(hash) << 32 | UInt64(items.count)
        return (items.count - 1, true)
    }

    /// Where a key is in the table, or would be.
    private func findSlot(of key: UnsafeRawBufferPointer, _ hash: UInt32) -> Int {
        let mask = table.count - 1
        var slot = Int(hash) & mask
        while table[slot] != 0 {
            if UInt32(table[slot] >> 32) == hash, unsafe isKey(key, Self.index(table[slot])) { break }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private func isKey(_ key: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        let item = items[index]
        guard item.keyCount == key.count else { return false }
        return unsafe bytes.withUnsafeBytes { bytes in
            unsafe UnsafeRawBufferPointer(
                rebasing: bytes[item.key]
            ).isEqual(to: key)
        }
    }

    private static func index(_ slot: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: slot)) - 1 }

    private mutating func growTable() {
        var larger = [UInt64](repeating: 0, count: max(16, 2 * table.count))
        let mask = larger.count - 1
        for entry in table where entry != 0 {
            var slot = Int(entry >> 32) & mask
            while larger[slot] != 0 { slot = (slot + 1) & mask }
            larger[slot] = entry
        }
        table = larger
    }

    /// Values that were replaced may take as much as what counts, not more.
    private mutating func compactIfNeeded() {
        guard wasted > 4096, 2 * wasted > bytes.count else { return }
        var kept: [UInt8] = []
        kept.reserveCapacity(bytes.count - wasted)
        for index in items.indices {
            let item = items[index]
            items[index].keyStart = kept.count
            kept += bytes[item.key]
            guard item.content == .put else { continue }
            items[index].valueStart = kept.count
            kept += bytes[item.value]
        }
        bytes = kept
        wasted = 0
    }

    // MARK: Hashing

    private static let seed = UInt64.random(in: 0...(.max))

    /// Eight bytes at a time are multiplied into it. The seed differs from process to process.
    private static func hash(_ key: UnsafeRawBufferPointer) -> UInt32 {
        func mix(_ value: UInt64) -> UInt64 {
            let product = value.multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
            return product.high ^ product.low
        }
        var hash = seed ^ UInt64(key.count)
        var index = 0
        while index + 8 <= key.count {
            hash = unsafe mix(hash ^ key.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        while index < key.count {
            rest = unsafe rest << 8 | UInt64(key[index])
            index += 1
        }
        return UInt32(truncatingIfNeeded: mix(mix(hash ^ rest)) >> 16)
    }
}
