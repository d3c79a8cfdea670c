/// Writes CBOR (RFC 8949) piece by piece, without a tree in between.
struct CBORWriter {
    private(set) var bytes: [UInt8] = []

    enum Major: UInt8 {
        case unsigned = 0
        case negative = 1
        case bytes = 2
        case text = 3
        case array = 4
        case map = 5
        case tag = 6
        case simple = 7
    }

    /// The head of an item: its major type and its argument in the shortest form.
    mutating func head(_ major: Major, _ argument: UInt64) {
        let type = major.rawValue << 5
        switch argument {
        case 0..<24: bytes.append(type | UInt8(argument))
        case 24..<0x100:
            bytes.append(type | 24)
            bytes.append(UInt8(argument))
        case 0x100..<0x1_0000: append(type | 25, argument, 2)
        case 0x1_0000..<0x1_0000_0000: append(type | 26, argument, 4)
        default: append(type | 27, argument, 8)
        }
    }

    private mutating func append(_ initial: UInt8, _ argument: UInt64, _ count: Int) {
        bytes.append(initial)
        for index in (0..<count).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: argument >> UInt64(8 * index)))
        }
    }

    mutating func unsigned(_ value: UInt64) { head(.unsigned, value) }

    mutating func integer(_ value: Int) {
        if value >= 0 { head(.unsigned, UInt64(value)) } else { head(.negative, UInt64(-1 - value)) }
    }

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            head(.text, UInt64(utf8.count))
            unsafe bytes.append(contentsOf: utf8)
        }
    }

    mutating func data(_ value: [UInt8]) {
        head(.bytes, UInt64(value.count))
        bytes += value
    }

    mutating func array(_ count: Int) { head(.array, UInt64(count)) }
    mutating func map(_ count: Int) { head(.map, UInt64(count)) }
    mutating func tag(_ value: UInt64) { head(.tag, value) }
    mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }
    mutating func null() { bytes.append(0xf6) }
    mutating func double(_ value: Double) { append(0xfb, value.bitPattern, 8) }
}

/// Reads CBOR piece by piece. Every read is checked; damaged input throws.
struct CBORReader {
    /// The input is no CBOR, or not the item that was expected.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    /// The major type of the next item.
    func peek() throws(Malformed) -> CBORWriter.Major {
        guard position < bytes.count, let major = CBORWriter.Major(rawValue: bytes[position] >> 5) else {
            throw Malformed(description: "the record ends early")
        }
        return major
    }

    /// The head of the next item, which must be of type `major`.
    mutating func head(_ major: CBORWriter.Major) throws(Malformed) -> UInt64 {
        guard try peek() == major else {
            throw Malformed(description: "\(major) expected at byte \(position), \(try peek()) found")
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
        default: throw Malformed(description: "length form \(low) at byte \(position - 1) is not used here")
        }
        guard bytes.count - position >= size else { throw Malformed(description: "the record ends early") }
        defer { position += size }
        return bytes[position..<(position + size)].reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func unsigned() throws(Malformed) -> UInt64 { try head(.unsigned) }

    mutating func integer() throws(Malformed) -> Int {
        if try peek() == .negative {
            guard let value = Int(exactly: try head(.negative)) else {
                throw Malformed(description: "too large a number")
            }
            return -1 - value
        }
        guard let value = Int(exactly: try head(.unsigned)) else {
            throw Malformed(description: "too large a number")
        }
        return value
    }

    mutating func data() throws(Malformed) -> [UInt8] { try counted(.bytes) }

    mutating func text() throws(Malformed) -> String {
        guard let text = String(validating: try counted(.text), as: UTF8.self) else {
            throw Malformed(description: "a text is no UTF-8")
        }
        return text
    }

    private mutating func counted(_ major: CBORWriter.Major) throws(Malformed) -> [UInt8] {
        let count = try head(major)
        guard count <= UInt64(bytes.count - position) else {
            throw Malformed(description: "the record ends early")
        }
        defer { position += Int(count) }
        return Array(bytes[position..<(position + Int(count))])
    }

    mutating func array() throws(Malformed) -> Int { try length(.array) }
    mutating func map() throws(Malformed) -> Int { try length(.map) }
    mutating func tag() throws(Malformed) -> UInt64 { try head(.tag) }

    private mutating func length(_ major: CBORWriter.Major) throws(Malformed) -> Int {
        let count = try head(major)
        guard count <= UInt64(bytes.count - position) else {
            throw Malformed(description: "the record ends early")
        }
        return Int(count)
    }

    mutating func bool() throws(Malformed) -> Bool {
        switch try head(.simple) {
        case 20: return false
        case 21: return true
        default: throw Malformed(description: "a truth value was expected")
        }
    }

    /// Passes over the next item, whatever it is.
    mutating func skip(depth: Int = 0) throws(Malformed) {
        guard depth < 64 else { throw Malformed(description: "too deeply nested") }
        let major = try peek()
        switch major {
        case .bytes, .text: _ = try counted(major)
        case .unsigned, .negative, .simple: _ = try head(major)
        case .array: for _ in 0..<(try array()) { try skip(depth: depth + 1) }
        case .map:
            for _ in 0..<(try map()) {
                try skip(depth: depth + 1)
                try skip(depth: depth + 1)
            }
        case .tag:
            _ = try tag()
            try skip(depth: depth + 1)
        }
    }
}
