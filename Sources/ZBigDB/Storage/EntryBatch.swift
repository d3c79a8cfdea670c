#if canImport(Glibc)
    internal import Glibc
#endif

/// Some entries of an object, copied out of the storage.
struct EntryBatch: Sendable {
    fileprivate struct Entry: Sendable {
        let keyStart: Int
        let valueStart: Int
        // LMDB's values have less than 4 GiB.
        let keyCount: UInt32
        let valueCount: UInt32

        var keyEnd: Int { keyStart + Int(keyCount) }
        var valueEnd: Int { valueStart + Int(valueCount) }
    }

    /// What subkeys and values are in, between other things.
    private(set) var bytes: [UInt8] = []
    private var entries: [Entry] = []
    /// Whether the range has no more of them.
    var isLast: Bool

    init(isLast: Bool = true) { self.isLast = isLast }

    var count: Int { entries.count }

    /// Where an entry's subkey is in ``bytes``.
    func keyRange(_ index: Int) -> Range<Int> {
        let entry = entries[index]
        return entry.keyStart..<entry.keyEnd
    }

    /// Where an entry's value is.
    func valueRange(_ index: Int) -> Range<Int> {
        let entry = entries[index]
        return entry.valueStart..<entry.valueEnd
    }

    func key(_ index: Int) -> [UInt8] { Array(bytes[keyRange(index)]) }

    /// The first entry from `start` on that does not come before `key` in the order of the batch.
    func place(of key: [UInt8], from start: Int, reversed: Bool) -> Int {
        var (low, high) = (start, count)
        while low < high {
            let middle = (low + high) / 2
            let order = unsafe key.withUnsafeBytes { key in unsafe compare(middle, key) }
            if reversed ? order > 0 : order < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func isKey(_ key: [UInt8], at index: Int) -> Bool {
        unsafe key.withUnsafeBytes { key in unsafe compare(index, key) == 0 }
    }

    private func compare(_ index: Int, _ key: UnsafeRawBufferPointer) -> Int {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe UnsafeRawBufferPointer(rebasing: bytes[keyRange(index)]).compare(key)
        }
    }

    /// Puts a batch of at most `limit` entries together.
    ///
    /// Where there are many, the pages they are in are copied whole: the memory is read in its order,
    /// however the entries are strewn over it, and an entry is nothing but two places.
    @safe
    struct Builder: ~Copyable {
        private static let page = 4096
        /// Of so few entries the page would be more than they are.
        private static let few = 8

        private var bytes: [UInt8] = []
        private let entries: UnsafeMutableBufferPointer<Entry>
        private(set) var count = 0
        private let copiesPages: Bool
        /// The address of the last page that was copied, and where it is in `bytes`.
        private var address: UInt = 0
        private var start = 0
        var isLast = true

        init(limit: Int) {
            copiesPages = limit > Self.few
            unsafe entries = .allocate(capacity: limit)
        }

        deinit { unsafe entries.deallocate() }

        /// Bytes that were copied.
        var used: Int { bytes.count }

        /// Adds an entry in the storage's memory, of which whole pages are there.
        @inline(__always)
        mutating func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            let keyAddress = UInt(bitPattern: key.baseAddress)
            let valueAddress = UInt(bitPattern: value.baseAddress)
            let page = keyAddress & ~UInt(Self.page - 1)
            if copiesPages, valueAddress >= page, valueAddress + UInt(value.count) <= page + UInt(Self.page) {
                if page != address { copy(page) }
                add(start + Int(keyAddress - page), key.count, start + Int(valueAddress - page), value.count)
            } else {
                add(bytes.count, key.count, bytes.count + key.count, value.count)
                unsafe bytes.append(contentsOf: key)
                unsafe bytes.append(contentsOf: value)
            }
        }

        @inline(__always)
        private mutating func add(_ keyStart: Int, _ keyCount: Int, _ valueStart: Int, _ valueCount: Int) {
            precondition(unsafe count < entries.count)
            unsafe entries[count] = Entry(
                keyStart: keyStart, valueStart: valueStart, keyCount: UInt32(keyCount),
                valueCount: UInt32(valueCount))
            count += 1
        }

        private mutating func copy(_ page: UInt) {
            start = bytes.count
            address = page
            unsafe bytes.append(
                contentsOf: UnsafeRawBufferPointer(
                    start: UnsafeRawPointer(bitPattern: page), count: Self.page))
        }

        mutating func removeLast() {
            count -= 1
            // Large values are at the end.
            let entry = unsafe entries[count]
            if entry.valueStart == entry.keyEnd, entry.valueEnd == bytes.count {
                bytes.removeLast(bytes.count - entry.keyStart)
            }
        }

        /// What was put together.
        func finish() -> EntryBatch {
            var batch = EntryBatch(isLast: isLast)
            batch.bytes = bytes
            unsafe batch.entries = Array(entries[..<count])
            return batch
        }
    }
}

extension UnsafeRawBufferPointer {
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        unsafe count == other.count && compare(other) == 0
    }

    /// Negative, zero or positive: in the order of bytes, a beginning before what continues it.
    func compare(_ other: UnsafeRawBufferPointer) -> Int {
        let common = Swift.min(count, other.count)
        if common > 0, let a = baseAddress, let b = other.baseAddress {
            let order = unsafe memcmp(a, b, common)
            if order != 0 { return Int(order) }
        }
        return count - other.count
    }
}

extension [UInt8] {
    /// Makes it what `new` is. It keeps its room.
    mutating func replaceAll(with new: UnsafeRawBufferPointer) {
        if count == new.count {
            unsafe withUnsafeMutableBytes { unsafe $0.copyMemory(from: new) }
        } else {
            removeAll(keepingCapacity: true)
            unsafe append(contentsOf: new)
        }
    }

    /// Whether it comes before `other` in the order of bytes.
    func precedes(_ other: [UInt8]) -> Bool {
        unsafe withUnsafeBytes { a in unsafe other.withUnsafeBytes { b in unsafe a.compare(b) < 0 } }
    }
}
