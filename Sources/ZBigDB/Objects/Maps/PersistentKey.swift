/// What can be a key of a ``PersistentMap``: its encoded bytes have the order of the keys.
///
/// Integers, floating-point numbers, truth values, text, bytes, dates and UUIDs are keys; so are optionals
/// and arrays of keys, ``CompositeKey``, and Codable types of your own that say so, in the order of their properties:
///
/// ```swift
/// struct Reading: Codable, PersistentKey {
///     var sensor: String
///     var time: Date
/// }
/// ```
///
/// Text is ordered by its UTF-8 bytes, and texts are different keys if their bytes differ. Keys of
/// different types that have equal values, such as `1 as Int` and `1 as UInt8`, are one key.
public protocol PersistentKey: SendableMetatype {
    /// Writes the key.
    func encode(to encoder: inout KeyEncoder) throws
    /// Reads what ``encode(to:)`` wrote.
    static func decode(from decoder: inout KeyDecoder) throws -> Self
}

/// How each kind of key begins (FORMAT.md). The order of the kinds is the order of the bytes.
enum KeyTag {
    /// Ends a list.
    static let end: UInt8 = 0x10
    static let none: UInt8 = 0x20
    static let no: UInt8 = 0x30
    static let yes: UInt8 = 0x31
    static let integer: UInt8 = 0x40
    /// From 2^63 on.
    static let large: UInt8 = 0x41
    static let real: UInt8 = 0x44
    static let bytes: UInt8 = 0x50
    static let text: UInt8 = 0x53
    static let date: UInt8 = 0x54
    static let uuid: UInt8 = 0x55
    static let list: UInt8 = 0x60
}

/// Writes keys as bytes that have the keys' order. No key's bytes are the beginning of another's.
public struct KeyEncoder {
    private(set) var bytes: [UInt8] = []

    init() {}

    /// Writes a part of a key.
    public mutating func encode(_ part: some PersistentKey) throws { try part.encode(to: &self) }

    mutating func tag(_ tag: UInt8) { bytes.append(tag) }

    mutating func integer(_ value: some FixedWidthInteger) {
        let isLarge = value > 0 && value.bitWidth - value.leadingZeroBitCount > 63
        // Flipping the sign puts negative numbers first.
        number(isLarge ? KeyTag.large : KeyTag.integer, UInt64(truncatingIfNeeded: value) ^ 1 << 63)
    }

    mutating func real(_ value: Double, tag: UInt8 = KeyTag.real) {
        // One zero, one NaN, and NaN last.
        let bits = value == 0 ? 0 : value.isNaN ? 0x7ff8 << 48 : value.bitPattern
        number(tag, bits >> 63 == 0 ? bits | 1 << 63 : ~bits)
    }

    /// Bytes of any length: 0 as 0 255, and 0 0 at the end.
    mutating func escaped(_ tag: UInt8, _ value: some Sequence<UInt8>) {
        bytes.reserveCapacity(bytes.count + value.underestimatedCount + 3)
        bytes.append(tag)
        for byte in value {
            bytes.append(byte)
            if byte == 0 { bytes.append(0xff) }
        }
        bytes.append(0)
        bytes.append(0)
    }

    mutating func raw(_ tag: UInt8, _ value: [UInt8]) {
        bytes.append(tag)
        bytes += value
    }

    private mutating func number(_ tag: UInt8, _ value: UInt64) {
        func byte(_ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: value >> (8 * index)) }
        // Most keys are a number and nothing else: one allocation of the right size.
        if bytes.capacity == 0 {
            bytes = [tag, byte(7), byte(6), byte(5), byte(4), byte(3), byte(2), byte(1), byte(0)]
        } else {
            bytes.append(tag)
            bytes.append(bigEndian: value)
        }
    }

    /// The subkey of a record.
    ///
    /// - Throws: ``StorageError/keyTooLong(length:limit:)``.
    static func subkey(_ key: some PersistentKey) throws -> [UInt8] {
        var encoder = KeyEncoder()
        try encoder.encodeSubkey(key)
        return encoder.bytes
    }

    /// The same in the place of what was written before.
    mutating func encodeSubkey(_ key: some PersistentKey) throws {
        bytes.removeAll(keepingCapacity: true)
        try key.encode(to: &self)
        guard bytes.count <= RecordKey.longestSubkey else {
            throw StorageError.keyTooLong(length: bytes.count, limit: RecordKey.longestSubkey)
        }
    }
}

/// Reads keys from their bytes.
public struct KeyDecoder {
    /// The bytes are no key, or one of another kind.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    private let bytes: [UInt8]
    private(set) var position: Int
    private var end: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    /// Goes to a key that is part of the bytes.
    mutating func move(to range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { position == end }

    /// Reads a key that must end where the bytes do.
    mutating func whole<T: PersistentKey>() throws -> T {
        let key = try T.decode(from: &self)
        if !isAtEnd { throw Malformed(description: "a key of more parts") }
        return key
    }

    /// Reads a part of a key.
    public mutating func decode<T: PersistentKey>(_ type: T.Type = T.self) throws -> T {
        try T.decode(from: &self)
    }

    func peek() throws(Malformed) -> UInt8 {
        guard position < end else { throw Malformed(description: "a key ends early") }
        return bytes[position]
    }

    mutating func tag() throws(Malformed) -> UInt8 {
        defer { position += 1 }
        return try peek()
    }

    @inline(__always)
    mutating func take(_ tag: UInt8) -> Bool {
        guard position < end, bytes[position] == tag else { return false }
        position += 1
        return true
    }

    @inline(__always)
    mutating func expect(_ tag: UInt8, _ what: StaticString) throws(Malformed) {
        if !take(tag) { throw Malformed(description: "a key of another kind: \(what) expected") }
    }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>() throws(Malformed) -> T {
        let isLarge = take(KeyTag.large)
        if !isLarge { try expect(KeyTag.integer, "an integer") }
        let bits = try bigEndian() ^ 1 << 63
        let value = isLarge ? T(exactly: bits) : T(exactly: Int64(bitPattern: bits))
        guard let value else { throw Malformed(description: "a key is too large for \(T.self)") }
        return value
    }

    mutating func real(tag: UInt8 = KeyTag.real) throws(Malformed) -> Double {
        try expect(tag, "a number")
        let bits = try bigEndian()
        return Double(bitPattern: bits >> 63 == 1 ? bits ^ 1 << 63 : ~bits)
    }

    mutating func escaped(_ tag: UInt8) throws(Malformed) -> [UInt8] {
        try expect(tag, "text or bytes")
        var value: [UInt8] = []
        while true {
            let byte = try self.tag()
            if byte == 0, try self.tag() == 0 { return value }
            value.append(byte)
        }
    }

    mutating func raw(_ tag: UInt8, _ count: Int) throws(Malformed) -> [UInt8] {
        try expect(tag, "another")
        guard end - position >= count else { throw Malformed(description: "a key ends early") }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }

    @inline(__always)
    private mutating func bigEndian() throws(Malformed) -> UInt64 {
        guard end - position >= 8, let value = bytes.bigEndian(UInt64.self, at: position) else {
            throw Malformed(description: "a key ends early")
        }
        position += 8
        return value
    }
}
