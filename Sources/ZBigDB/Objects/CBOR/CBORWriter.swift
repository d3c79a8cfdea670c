/// Writes CBOR (RFC 8949) piece by piece, without a tree in between, in the preferred forms:
/// heads and floating-point numbers are as short as they can be.
struct CBORWriter {
    var bytes: [UInt8] = []

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
        var shift = UInt64(8 * count)
        while shift > 0 {
            shift -= 8
            bytes.append(UInt8(truncatingIfNeeded: argument >> shift))
        }
    }

    mutating func unsigned(_ value: UInt64) { head(.unsigned, value) }

    mutating func integer(_ value: some FixedWidthInteger) {
        if let value = UInt64(exactly: value) {
            head(.unsigned, value)
        } else {
            head(.negative, UInt64(truncatingIfNeeded: -1 - Int64(truncatingIfNeeded: value)))
        }
    }

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            head(.text, UInt64(utf8.count))
            unsafe bytes.append(contentsOf: utf8)
        }
    }

    mutating func data(_ value: some Collection<UInt8>) {
        head(.bytes, UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Items that were encoded before.
    mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    mutating func array(_ count: Int) { head(.array, UInt64(count)) }
    mutating func map(_ count: Int) { head(.map, UInt64(count)) }
    mutating func tag(_ value: UInt64) { head(.tag, value) }
    mutating func bool(_ value: Bool) { bytes.append(value ? 0xf5 : 0xf4) }
    mutating func null() { bytes.append(0xf6) }

    /// The shortest of the three sizes that keeps the value.
    mutating func double(_ value: Double) {
        if value.isNaN { return append(0xf9, 0x7e00, 2) }
        let single = Float(value)
        guard Double(single) == value else { return append(0xfb, value.bitPattern, 8) }
        guard let half = Self.half(single) else { return append(0xfa, UInt64(single.bitPattern), 4) }
        append(0xf9, UInt64(half), 2)
    }

    /// A number as IEEE 754 binary16, if it is one. By hand: not every platform has Float16.
    private static func half(_ value: Float) -> UInt16? {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let exponent = Int(bits >> 23 & 0xff) - 127
        let fraction = bits & 0x7f_ffff
        if bits << 1 == 0 { return sign }
        if exponent == 128 { return sign | 0x7c00 }
        if exponent >= -14, exponent <= 15 {
            return fraction & 0x1fff == 0 ? sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 13) : nil
        }
        // Subnormal: the hidden bit becomes part of the fraction.
        guard exponent >= -24, exponent < -14 else { return nil }
        let whole = fraction | 0x80_0000
        let shift = UInt32(-1 - exponent)
        return whole & (1 << shift - 1) == 0 ? sign | UInt16(whole >> shift) : nil
    }
}
