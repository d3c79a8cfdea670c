/// Builds a byte string: little-endian integers, LEB128 numbers, counted strings.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// An unsigned number of any size, 7 bits a byte.
    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

    mutating func counted(_ value: some Collection<UInt8>) {
        number(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func counted(_ value: UnsafeRawBufferPointer) {
        number(UInt64(value.count))
        unsafe bytes.append(contentsOf: value)
    }

    mutating func string(_ value: String) { counted(Array(value.utf8)) }

    /// Pairs of strings, in the order of their names.
    mutating func pairs(_ value: [String: String]) {
        number(UInt64(value.count))
        for (name, value) in value.sorted(by: { $0.key < $1.key }) {
            string(name)
            string(value)
        }
    }
}

/// Reads what ``ByteWriter`` wrote. Every read is checked; damaged input throws.
struct ByteReader {
    /// The input ended early or held an impossible value.
    struct Malformed: Error {}

    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func byte() throws(Malformed) -> UInt8 {
        guard position < bytes.count else { throw Malformed() }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Malformed) -> T {
        var value: T = 0
        for shift in stride(from: 0, to: T.bitWidth, by: 8) {
            value |= T(truncatingIfNeeded: try byte()) << T(shift)
        }
        return value
    }

    mutating func number() throws(Malformed) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            guard shift < 64, shift < 63 || byte <= 1 else { throw Malformed() }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    /// A number that counts things of at least one byte each in the rest of the input.
    mutating func count() throws(Malformed) -> Int {
        let value = try number()
        guard value <= UInt64(bytes.count - position) else { throw Malformed() }
        return Int(value)
    }

    mutating func raw(_ count: Int) throws(Malformed) -> [UInt8] {
        guard count >= 0, count <= bytes.count - position else { throw Malformed() }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }

    mutating func counted() throws(Malformed) -> [UInt8] { try raw(try count()) }

    mutating func string() throws(Malformed) -> String {
        guard let text = String(validating: try counted(), as: UTF8.self) else { throw Malformed() }
        return text
    }

    mutating func pairs() throws(Malformed) -> [String: String] {
        var pairs: [String: String] = [:]
        for _ in 0..<(try count()) {
            let name = try string()
            pairs[name] = try string()
        }
        return pairs
    }
}

extension [UInt8] {
    /// Appends a number, most significant byte first.
    @inline(__always)
    mutating func append(bigEndian value: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
    }

    /// The unsigned integer of this size at an index, most significant byte first; nil beyond the end.
    @inline(__always)
    func bigEndian<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type, at index: Int)
        -> T?
    {
        guard index >= 0, index <= count - MemoryLayout<T>.size else { return nil }
        return unsafe withUnsafeBytes {
            unsafe T(bigEndian: $0.loadUnaligned(fromByteOffset: index, as: T.self))
        }
    }

    /// The same as `withUnsafeBytes`, with an error of any type.
    func withRawBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe withUnsafeBufferPointer { bytes throws(E) in try unsafe body(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Whether `expected` lies at an index.
    func has(_ expected: [UInt8], at index: Int) -> Bool {
        guard index >= 0, expected.count <= count - index else { return false }
        return unsafe withUnsafeBytes { bytes in
            unsafe expected.withUnsafeBytes { expected in
                let end = index + expected.count
                return unsafe UnsafeRawBufferPointer(rebasing: bytes[index..<end]).isEqual(to: expected)
            }
        }
    }
}
