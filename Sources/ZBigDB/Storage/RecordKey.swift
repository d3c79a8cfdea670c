/// What a record is about: an object's own state (empty subkey), or a part of
/// it: a block of an array (8 bytes, big endian), an entry of a map (its
/// encoded key). The subkeys of one object must not be prefixes of each other,
/// and begin with a byte below 0xff, which is how the state's version begins.
struct RecordKey: Hashable, Comparable, Sendable {
    let oid: OID
    let subkey: [UInt8]

    init(_ oid: OID, _ subkey: [UInt8] = []) {
        self.oid = oid
        self.subkey = subkey
    }

    init(_ oid: OID, block: Int) { self.init(oid, UInt64(block).bigEndianBytes) }

    /// Block numbers have fewer bits than this, which tells their subkeys from
    /// the encoded keys of maps: those begin with a tag that is not 0.
    static let blockBits = 48

    /// The block number, if the subkey has the form of one.
    var block: Int? { unsafe subkey.withUnsafeBytes { unsafe Self.block($0) } }

    static func block(_ subkey: UnsafeRawBufferPointer) -> Int? {
        guard subkey.count == 8 else { return nil }
        let number = unsafe UInt64(bigEndian: subkey.loadUnaligned(as: UInt64.self))
        return number >> UInt64(blockBits) == 0 ? Int(number) : nil
    }

    /// Whether `next` is the next block of the same array.
    func isFollowed(by next: RecordKey) -> Bool {
        guard oid == next.oid, let block, let other = next.block else { return false }
        return block + 1 == other
    }

    static func < (a: RecordKey, b: RecordKey) -> Bool {
        a.oid != b.oid ? a.oid < b.oid : a.subkey.precedes(b.subkey)
    }

    /// The number of an object's entries is kept under this subkey, before all entries.
    static let countSubkey: [UInt8] = [0x01]
    /// Where the subkeys of entries begin and end.
    static let firstEntry: [UInt8] = [0x10]
    static let endOfEntries: [UInt8] = [0xf0]

    /// Whether it is an entry of a map or a name of the root.
    var isEntry: Bool { unsafe subkey.withUnsafeBytes { unsafe Self.isEntry($0) } }

    static func isEntry(_ subkey: UnsafeRawBufferPointer) -> Bool {
        unsafe subkey.first.map { $0 >= firstEntry[0] } ?? false
    }

    /// LMDB's limit for a key is 511 bytes; oid and tid take 16.
    static let longestSubkey = 511 - 16

    /// The stored key of version `tid`: oid, subkey, then the complement of the
    /// tid, so that newer versions come first.
    func encoded(_ tid: TID) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 + subkey.count)
        bytes += oid.rawValue.bigEndianBytes
        bytes += subkey
        bytes += (~tid.rawValue).bigEndianBytes
        return bytes
    }

    /// Runs `body` with the stored key of version `tid`.
    func withEncoded<R, E: Error>(_ tid: TID, _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R
    {
        try unsafe subkey.withRawBytes { subkey throws(E) in
            try unsafe Self.withEncoded(oid, subkey, tid) { bytes throws(E) in
                try unsafe body(UnsafeRawBufferPointer(bytes))
            }
        }
    }

    /// The same with bytes that ``setVersion(_:of:)`` can change.
    static func withEncoded<R, E: Error>(
        _ oid: OID, _ subkey: UnsafeRawBufferPointer, _ tid: TID,
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        let count = subkey.count
        return try unsafe withUnsafeTemporaryAllocation(byteCount: 16 + count, alignment: 8) {
            buffer throws(E) in
            unsafe buffer.storeBytes(of: oid.rawValue.bigEndian, as: UInt64.self)
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[8..<(8 + count)]).copyMemory(from: subkey)
            unsafe setVersion(tid, of: buffer)
            return try unsafe body(buffer)
        }
    }

    /// Makes a stored key that of another version.
    static func setVersion(_ tid: TID, of key: UnsafeMutableRawBufferPointer) {
        unsafe key.storeBytes(
            of: (~tid.rawValue).bigEndian, toByteOffset: key.count - 8, as: UInt64.self)
    }

    /// The version a stored key is of, which begins like `bytes` up to the version; nil if it does not.
    static func version(of stored: UnsafeRawBufferPointer, like bytes: UnsafeRawBufferPointer) -> TID? {
        let count = stored.count - 8
        guard count >= 8, stored.count == bytes.count,
            unsafe UnsafeRawBufferPointer(rebasing: stored[..<count]).isEqual(
                to: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        else { return nil }
        let bits = unsafe UInt64(bigEndian: stored.loadUnaligned(fromByteOffset: count, as: UInt64.self))
        return TID(rawValue: ~bits)
    }

    /// Reads a stored key; nil if it is none.
    static func decode(_ bytes: [UInt8]) -> (key: RecordKey, tid: TID)? {
        guard bytes.count >= 16 else { return nil }
        let oid = OID(rawValue: UInt64(bigEndianBytes: bytes[0..<8]))
        let tid = TID(rawValue: ~UInt64(bigEndianBytes: bytes[(bytes.count - 8)...]))
        return (RecordKey(oid, Array(bytes[8..<(bytes.count - 8)])), tid)
    }

    /// The part in words, for messages.
    var part: String {
        if subkey.isEmpty { return "its state" }
        if let block { return "block \(block)" }
        guard let parts = KeyValue.parts(of: subkey) else { return "entry \(subkey)" }
        return "entry \(parts.map(\.description).joined(separator: ", "))"
    }
}

/// Names as subkeys: a tag, the UTF-8 bytes with 0 written as 0 255, and 0 0
/// at the end. Byte order is the order of the names, and no key is a prefix of
/// another.
enum NameKey {
    private static let tag: UInt8 = 0x53

    static func encode(_ name: String) throws(StorageError) -> [UInt8] {
        var bytes: [UInt8] = [tag]
        for byte in name.utf8 {
            bytes.append(byte)
            if byte == 0 { bytes.append(0xff) }
        }
        bytes += [0, 0]
        guard bytes.count <= RecordKey.longestSubkey else {
            throw .keyTooLong(length: bytes.count, limit: RecordKey.longestSubkey)
        }
        return bytes
    }

    static func name(of subkey: [UInt8]) -> String? {
        guard subkey.count >= 3, subkey[0] == tag, subkey.suffix(2) == [0, 0] else { return nil }
        var bytes: [UInt8] = []
        var index = 1
        while index < subkey.count - 2 {
            bytes.append(subkey[index])
            index += subkey[index] == 0 ? 2 : 1
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// Subkeys from one to another.
struct SubkeyRange: Sendable {
    /// The first that may be in it.
    var from = RecordKey.firstEntry
    /// The first that is beyond it.
    var to = RecordKey.endOfEntries

    /// Behind `key` and all its stored versions, before every other key behind it: no key begins another.
    static func successor(of key: [UInt8]) -> [UInt8] { key + [UInt8](repeating: 0xff, count: 9) }

    func contains(_ key: [UInt8]) -> Bool { !key.precedes(from) && key.precedes(to) }
}

extension UInt64 {
    var bigEndianBytes: [UInt8] {
        let value = self
        return unsafe [UInt8](unsafeUninitializedCapacity: 8) { buffer, count in
            for index in 0..<8 {
                unsafe buffer[index] = UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * index))
            }
            count = 8
        }
    }

    init(bigEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
