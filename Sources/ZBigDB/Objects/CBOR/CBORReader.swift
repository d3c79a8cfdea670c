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
        guard left >= expected.count else { return false }
        for index in expected.indices where bytes[position + index] != expected[index] { return false }
        position += expected.count
        return true
    }

    mutating func takeNull() -> Bool { take(0xf6) || take(0xf7) }

    /// The head of the next item, which must be of type `major`, with its length or value given.
    mutating func head(_ major: CBORWriter.Major) throws(Malformed) -> UInt64 {
        guard let argument = try openHead(major) else {
            throw Malformed(
                description: "an open length at byte \(position - 1), which is not expected there")
        }
        return argument
    }

    /// The head of the next item; nil if its length is open: items follow until a break.
    mutating func openHead(_ major: CBORWriter.Major) throws(Malformed) -> UInt64? {
        let found = try peek()
        guard found == major else {
            throw Malformed(description: "\(major) expected at byte \(position), \(found) found")
        }
        let low = bytes[position] & 0x1f
        position += 1
        let size: Int
        switch low {
        case 0..<24: return UInt64(low)
        case 24: size = 1
        case 25: size = 2
        case 26: size = 4
        case 27: size = 8
        case 31 where major != .unsigned && major != .negative && major != .tag: return nil
        default: throw Malformed(description: "length form \(low) at byte \(position - 1) is not in use")
        }
        guard left >= size else { throw .endsEarly }
        var value: UInt64 = 0
        for index in position..<(position + size) { value = value << 8 | UInt64(bytes[index]) }
        position += size
        return value
    }

    mutating func unsigned() throws(Malformed) -> UInt64 { try head(.unsigned) }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Malformed) -> T {
        let isNegative = try peek() == .negative
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
        guard let text = try string(.text, { String(validating: $0, as: UTF8.self) }) else {
            throw Malformed(description: "a text is no UTF-8")
        }
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
