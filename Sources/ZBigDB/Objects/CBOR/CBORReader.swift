/// Reads CBOR (RFC 8949) piece by piece. Every read is checked; damaged input throws.
struct CBORReader {
    /// The input is no CBOR, or not the item that was expected.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
        static let endsEarly = Malformed(description: "the record ends early")
    }

    let bytes: [UInt8]
    var position = 0

    /// Deeper nesting than this is damage.
    static let deepest = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    private var left: Int { bytes.count - position }

    /// The major type of the next item.
    func peek() throws(Malformed) -> CBORWriter.Major {
        guard position < bytes.count, let major = CBORWriter.Major(rawValue: bytes[position] >> 5) else {
            throw .endsEarly
        }
        return major
    }

    /// Whether the next byte is `byte`; passes over it if so.
    mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Whether the next bytes are `expected`; passes over them if so.
    mutating func take(_ expected: [UInt8]) -> Bool {
        guard bytes.has(expected, at: position) else { return false }
        position += expected.count
        return true
    }

    mutating func takeNull() -> Bool { take(0xf6) || take(0xf7) }

    /// The head of the next item, which must be of type `major`, with its length or value given.
    @inline(__always)
    mutating func head(_ major: CBORWriter.Major) throws(Malformed) -> UInt64 {
        guard let argument = try openHead(major) else {
            throw Malformed(
                description: "an open length at byte \(position - 1), which is not expected there")
        }
        return argument
    }

    /// The head of the next item; nil if its length is open: items follow until a break.
    @inline(__always)
    mutating func openHead(_ major: CBORWriter.Major) throws(Malformed) -> UInt64? {
        guard position < bytes.count else { throw .endsEarly }
        let initial = bytes[position]
        guard initial >> 5 == major.rawValue else {
            throw Malformed(description: "\(major) expected at byte \(position), \(try peek()) found")
        }
        let low = initial & 0x1f
        if low < 24 {
            position += 1
            return UInt64(low)
        }
        return try longHead(low, major)
    }

    /// The rest of a head that is longer than a byte.
    @inline(__always)
    private mutating func longHead(_ low: UInt8, _ major: CBORWriter.Major) throws(Malformed) -> UInt64? {
        position += 1
        switch low {
        case 24: return UInt64(try argument(UInt8.self))
        case 25: return UInt64(try argument(UInt16.self))
        case 26: return UInt64(try argument(UInt32.self))
        case 27: return try argument(UInt64.self)
        case 31 where major != .unsigned && major != .negative && major != .tag: return nil
        default: throw Malformed(description: "length form \(low) at byte \(position - 1) is not in use")
        }
    }

    @inline(__always)
    private mutating func argument<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type)
        throws(Malformed) -> T
    {
        guard let value = bytes.bigEndian(T.self, at: position) else { throw .endsEarly }
        position += MemoryLayout<T>.size
        return value
    }

    mutating func unsigned() throws(Malformed) -> UInt64 { try head(.unsigned) }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Malformed) -> T {
        guard position < bytes.count else { throw .endsEarly }
        let isNegative = bytes[position] >> 5 == CBORWriter.Major.negative.rawValue
        let argument = try head(isNegative ? .negative : .unsigned)
        let value =
            isNegative ? Int64(exactly: argument).flatMap { T(exactly: -1 - $0) } : T(exactly: argument)
        guard let value else { throw Malformed(description: "a number is too large for \(T.self)") }
        return value
    }

    /// A floating-point number of any size, or an integer.
    mutating func double() throws(Malformed) -> Double {
        guard try peek() == .simple else {
            let isNegative = try peek() == .negative
            let argument = Double(try head(isNegative ? .negative : .unsigned))
            return isNegative ? -1 - argument : argument
        }
        let form = bytes[position] & 0x1f
        let bits = try head(.simple)
        switch form {
        case 25: return Self.double(half: UInt16(truncatingIfNeeded: bits))
        case 26: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        case 27: return Double(bitPattern: bits)
        default: throw Malformed(description: "a number was expected")
        }
    }

    private static func double(half: UInt16) -> Double {
        let fraction = Double(half & 0x3ff)
        let exponent = Int(half >> 10 & 0x1f)
        let magnitude: Double
        switch exponent {
        case 0: magnitude = fraction * 0x1p-24
        case 31: magnitude = fraction == 0 ? .infinity : .nan
        default: magnitude = (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
        }
        return half & 0x8000 == 0 ? magnitude : -magnitude
    }

    mutating func data() throws(Malformed) -> [UInt8] { try string(.bytes) { Array($0) } }

    mutating func text() throws(Malformed) -> String {
        let text = try string(.text) { utf8 -> String? in
            do { return String(copying: try UTF8Span(validating: utf8.span)) } catch { return nil }
        }
        guard let text else { throw Malformed(description: "a text is no UTF-8") }
        return text
    }

    /// A byte or text string; one in pieces is put together first.
    private mutating func string<R>(_ major: CBORWriter.Major, _ body: (ArraySlice<UInt8>) -> R)
        throws(Malformed) -> R
    {
        if let count = try openHead(major) { return body(try chunk(count)) }
        var whole: [UInt8] = []
        while !take(0xff) { whole += try chunk(try head(major)) }
        return body(whole[...])
    }

    private mutating func chunk(_ count: UInt64) throws(Malformed) -> ArraySlice<UInt8> {
        guard count <= UInt64(left) else { throw .endsEarly }
        defer { position += Int(count) }
        return bytes[position..<(position + Int(count))]
    }

    mutating func array() throws(Malformed) -> Int { try length(.array) }
    mutating func map() throws(Malformed) -> Int { try length(.map) }
    mutating func tag() throws(Malformed) -> UInt64 { try head(.tag) }

    /// The number of items.
    private mutating func length(_ major: CBORWriter.Major) throws(Malformed) -> Int {
        guard let count = try openHead(major) else {
            throw Malformed(description: "a list of open length, which this version does not write")
        }
        guard count <= UInt64(left) else { throw .endsEarly }
        return Int(count)
    }

    mutating func bool() throws(Malformed) -> Bool {
        switch try head(.simple) {
        case 20: return false
        case 21: return true
        default: throw Malformed(description: "a truth value was expected")
        }
    }

    /// Passes over the next item, whatever it is; returns its bytes.
    @discardableResult
    mutating func skip(depth: Int = 0) throws(Malformed) -> ArraySlice<UInt8> {
        let start = position
        guard depth < Self.deepest else { throw Malformed(description: "too deeply nested") }
        let major = try peek()
        switch major {
        case .bytes, .text: try string(major) { _ in }
        case .unsigned, .negative: _ = try head(major)
        case .simple:
            if try openHead(.simple) == nil { throw Malformed(description: "a break without a start") }
        case .tag:
            _ = try tag()
            try skip(depth: depth + 1)
        case .array, .map:
            guard let count = try openHead(major) else {
                while !take(0xff) { try skip(depth: depth + 1) }
                break
            }
            guard count <= UInt64(left) else { throw .endsEarly }
            for _ in 0..<(major == .map ? 2 * count : count) { try skip(depth: depth + 1) }
        }
        return bytes[start..<position]
    }
}
