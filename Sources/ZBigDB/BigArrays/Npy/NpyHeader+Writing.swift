extension NpyHeader {
    /// The header as `numpy.save` writes it: with the oldest version of the format that can hold it,
    /// and room for the major axis to grow without moving the items.
    public func encoded() -> [UInt8] {
        let written = NpyHeader.written(order, shape: shape)
        return NpyHeader.encode(dtype: dtype, plan: byteSwap.plan, order: written, shape: shape)
    }

    /// As NumPy: an array whose items lie the same way in both orders is written in C order.
    static func written(_ order: Order, shape: [Int]) -> Order {
        shape.contains(0) || shape.count { $0 > 1 } <= 1 ? .c : order
    }

    static func encode(dtype: DType, plan: ByteSwap.Plan, order: Order, shape: [Int]) -> [UInt8] {
        let lengths = PythonLiteral.tuple(shape.map(PythonLiteral.int)).text
        var text = "{'descr': \(dtype.literal(plan).text), "
        text += "'fortran_order': \(order == .fortran ? "True" : "False"), 'shape': \(lengths), }"
        if let major = order.majorAxis(rank: shape.count) {
            text += String(repeating: " ", count: max(0, growthDigits - String(shape[major]).utf8.count))
        }
        if text.unicodeScalars.allSatisfy({ $0.value < 0x100 }) {
            let body = text.unicodeScalars.map { UInt8($0.value) }
            let first = padded(body, version: 1)
            // The length field of version 1 has 2 bytes.
            return first.count - 10 <= UInt16.max ? first : padded(body, version: 2)
        }
        return padded(Array(text.utf8), version: 3)
    }

    /// The digits NumPy leaves room for: enough for an axis as long as the address space has bits.
    private static let growthDigits = 21

    /// Fills the header up with spaces and a newline, so that the items start at a multiple of 64.
    private static func padded(_ body: [UInt8], version: UInt8) -> [UInt8] {
        let prefix = version == 1 ? 10 : 12
        let padding = 64 - (prefix + body.count + 1) % 64
        let length = body.count + padding + 1
        var bytes = magic + [version, 0]
        for shift in 0..<prefix - 8 {
            bytes.append(UInt8(truncatingIfNeeded: length >> (8 * shift)))
        }
        bytes += body
        bytes += [UInt8](repeating: 0x20, count: padding)
        bytes.append(0x0A)
        return bytes
    }
}
