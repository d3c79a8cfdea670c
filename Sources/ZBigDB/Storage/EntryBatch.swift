#if canImport(Glibc)
    internal import Glibc
#endif

/// Some entries of an object, copied out of the storage: their subkeys and values back to back.
struct EntryBatch: Sendable {
    /// One entry: where it is in ``bytes``.
    struct Entry: Sendable {
        let tid: TID
        let key: Range<Int>
        let value: Range<Int>
    }

    private(set) var bytes: [UInt8] = []
    private(set) var entries: [Entry] = []

    var count: Int { entries.count }

    func key(_ index: Int) -> [UInt8] { Array(bytes[entries[index].key]) }

    mutating func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ tid: TID) {
        let start = bytes.count
        unsafe bytes.append(contentsOf: key)
        let middle = bytes.count
        unsafe bytes.append(contentsOf: value)
        entries.append(Entry(tid: tid, key: start..<middle, value: middle..<bytes.count))
    }

    mutating func removeLast() {
        guard let last = entries.popLast() else { return }
        bytes.removeSubrange(last.key.lowerBound...)
    }

    /// Whether the last entry has this subkey.
    func endsWith(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let last = entries.last, last.key.count == key.count else { return false }
        return unsafe bytes.withUnsafeBytes {
            unsafe UnsafeRawBufferPointer(rebasing: $0[last.key]).isEqual(to: key)
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
