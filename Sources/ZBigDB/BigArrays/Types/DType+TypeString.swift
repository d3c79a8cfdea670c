extension DType {
    /// Reads a type string such as `<f8`, `|S6`, `>U3`, or a type's name.
    static func parse(typeString text: String) throws(ArrayError) -> Described {
        var rest = Substring(text)
        var bigEndian = false
        if let order = rest.first, "<>=|".contains(order) {
            bigEndian = order == ">"
            rest = rest.dropFirst()
        }
        let dtype = try parse(kindAndSize: rest, of: text)
        return (dtype, bigEndian ? ByteSwap.Plan(dtype) : .identity)
    }

    private static func parse(kindAndSize rest: Substring, of text: String) throws(ArrayError) -> DType {
        if let dtype = names[String(rest)] { return dtype }
        if let name = unsupported[String(rest)] { throw .unsupportedDType(name) }
        if rest == "object" { throw .objectDType }
        guard let kind = rest.first else {
            throw .invalidDType("'\(text)'", reason: "the text is empty")
        }
        let tail = rest.dropFirst()
        switch kind {
        case "M" where tail.isEmpty || tail.first == "8": throw .unsupportedDType("datetime64\(unit(tail))")
        case "m" where tail.isEmpty || tail.first == "8": throw .unsupportedDType("timedelta64\(unit(tail))")
        default: break
        }
        guard let size = try size(tail, of: text) else {
            throw .invalidDType("'\(text)'", reason: "NumPy has no such type")
        }
        switch kind {
        case "S", "a": return .bytes(size)
        case "V": return .raw(size)
        case "U":
            guard !size.multipliedReportingOverflow(by: 4).overflow else { throw tooLarge(text) }
            return .unicode(size)
        case "O" where tail.isEmpty || size == 4 || size == 8: throw .objectDType
        default:
            throw .invalidDType("'\(text)'", reason: "NumPy has no such type")
        }
    }

    /// The number after the kind letter: 0 when there is none, nil when it is not a number.
    private static func size(_ digits: Substring, of text: String) throws(ArrayError) -> Int? {
        if digits.isEmpty { return 0 }
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        guard let size = Int(digits) else { throw tooLarge(text) }
        return size
    }

    private static func tooLarge(_ text: String) -> ArrayError {
        .invalidDType("'\(text)'", reason: "the size is too large")
    }

    /// The `[ns]` in `M8[ns]`.
    private static func unit(_ tail: Substring) -> Substring {
        tail.drop { $0 != "[" }
    }

    private static let names: [String: DType] = [
        "i1": .int8, "i2": .int16, "i4": .int32, "i8": .int64,
        "u1": .uint8, "u2": .uint16, "u4": .uint32, "u8": .uint64,
        "f2": .float16, "f4": .float32, "f8": .float64, "b1": .bool,
        "int8": .int8, "int16": .int16, "int32": .int32, "int64": .int64,
        "uint8": .uint8, "uint16": .uint16, "uint32": .uint32, "uint64": .uint64,
        "float16": .float16, "float32": .float32, "float64": .float64, "bool": .bool,
        "b": .int8, "h": .int16, "i": .int32, "l": .int64, "q": .int64,
        "B": .uint8, "H": .uint16, "I": .uint32, "L": .uint64, "Q": .uint64,
        "e": .float16, "f": .float32, "d": .float64, "?": .bool,
    ]

    private static let unsupported: [String: String] = [
        "c8": "complex64", "c16": "complex128", "c32": "complex256",
        "F": "complex64", "D": "complex128", "G": "complex256",
        "complex64": "complex64", "complex128": "complex128", "complex256": "complex256",
        "f12": "float96", "f16": "float128", "g": "float128", "float128": "float128",
        "datetime64": "datetime64", "timedelta64": "timedelta64", "T": "StringDType",
    ]
}
