internal import Synchronization

/// An object's number in its database: 0 is the root, others are never reused
/// while their object is stored.
public struct OID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// The object with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// One step of mixing: numbers are given out in sequence, by nobody with an interest in collisions.
    public func _rawHashValue(seed: Int) -> Int {
        let mixed = (rawValue ^ UInt64(truncatingIfNeeded: seed)).multipliedFullWidth(
            by: 0x9e37_79b9_7f4a_7c15)
        return Int(truncatingIfNeeded: mixed.high ^ mixed.low)
    }

    /// The root object.
    public static let root = OID(rawValue: 0)

    /// Order by number.
    public static func < (a: OID, b: OID) -> Bool { a.rawValue < b.rawValue }
    /// The number in hexadecimal.
    public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// A transaction's number: microseconds since 1970 (UTC), made strictly
/// increasing, so that the order of tids is the order of commits and a date is
/// a place in history.
public struct TID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Microseconds since 1970-01-01 00:00 UTC.
    public let rawValue: UInt64
    /// The transaction with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Before every transaction.
    public static let zero = TID(rawValue: 0)
    /// After every transaction: the year 4253. The complement of a smaller one begins with 0xff.
    static let largest = TID(rawValue: 1 << 56 - 1)

    /// Order by number, which is the order of commits.
    public static func < (a: TID, b: TID) -> Bool { a.rawValue < b.rawValue }
    /// The number in hexadecimal, 16 digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The number of a stored block record. Never reused.
struct BlockID: RawRepresentable, Hashable, Comparable, Sendable {
    let rawValue: UInt64
    static func < (a: BlockID, b: BlockID) -> Bool { a.rawValue < b.rawValue }
    /// Names a record that has no number yet, within its transaction.
    static func preliminary(_ index: Int) -> BlockID { BlockID(rawValue: 1 << 63 | UInt64(index)) }
}

/// Names a transaction across databases and crashes, before it has a tid.
public struct TransactionID: Hashable, Sendable, CustomStringConvertible {
    /// 16 bytes, of which each process chooses its own at random.
    public let bytes: [UInt8]

    private static let process = (UInt64.random(in: 0...(.max)), UInt64.random(in: 0...(.max)))
    private static let count = Atomic<UInt64>(0)

    /// A new id.
    public init() {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        bytes = Self.process.0.bigEndianBytes + (Self.process.1 &+ number).bigEndianBytes
    }

    init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// The bytes in hexadecimal.
    public var description: String { bytes.map { hex($0) }.joined() }

    private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}
