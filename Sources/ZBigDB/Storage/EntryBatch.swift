#if canImport(Glibc)
    internal import Glibc
#endif

/// Some entries of an object, copied out of the storage: their subkeys and values back to back.
struct EntryBatch: Sendable {
    fileprivate struct Entry: Sendable {
        let start: Int
        let middle: Int
        let end: Int
    }

    private(set) var bytes: [UInt8] = []
    private var entries: [Entry] = []
    /// Whether the range has no more of them.
    var isLast: Bool

    init(isLast: Bool = true) { self.isLast = isLast }

    var count: Int { entries.count }

    /// Where an entry's subkey is in ``bytes``.
    func keyRange(_ index: Int) -> Range<Int> { entries[index].start..<entries[index].middle }
    /// Where an entry's value is.
    func valueRange(_ index: Int) -> Range<Int> { entries[index].middle..<entries[index].end }

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
    @safe
    struct Builder: ~Copyable {
        private var bytes: UnsafeMutableRawBufferPointer
        private let entries: UnsafeMutableBufferPointer<Entry>
        private(set) var count = 0
        /// Bytes of all subkeys and values.
        private(set) var used = 0
        var isLast = true

        init(limit: Int) {
            unsafe bytes = .allocate(byteCount: 32 * limit, alignment: 8)
            unsafe entries = .allocate(capacity: limit)
        }

        deinit {
            unsafe bytes.deallocate()
            unsafe entries.deallocate()
        }

        @inline(__always)
        mutating func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            let middle = used + key.count
            let end = middle + value.count
            if unsafe end > bytes.count { grow(to: end) }
            precondition(unsafe count < entries.count)
            if let base = unsafe bytes.baseAddress, let key = key.baseAddress {
                unsafe memcpy(base + used, key, middle - used)
                if let value = value.baseAddress { unsafe memcpy(base + middle, value, end - middle) }
            }
            unsafe entries[count] = Entry(start: used, middle: middle, end: end)
            count += 1
            used = end
        }

        private mutating func grow(to size: Int) {
            let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(size, 2 * bytes.count), alignment: 8)
            unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<used]))
            unsafe bytes.deallocate()
            unsafe bytes = larger
        }

        mutating func removeLast() {
            count -= 1
            unsafe used = entries[count].start
        }

        /// What was put together.
        func finish() -> EntryBatch {
            var batch = EntryBatch(isLast: isLast)
            unsafe batch.bytes = Array(bytes[..<used])
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
    /// Whether it comes before `other` in the order of bytes.
    func precedes(_ other: [UInt8]) -> Bool {
        unsafe withUnsafeBytes { a in unsafe other.withUnsafeBytes { b in unsafe a.compare(b) < 0 } }
    }
}
