import ZBigDB

/// One item of an array, decoded.
enum Element {
    case integer(Int64)
    case unsigned(UInt64)
    case half(Float16)
    case single(Float)
    case double(Double)
    case bool(Bool)
    /// Without the zero bytes at its end.
    case bytes([UInt8])
    /// Without the zeros at its end.
    case text(String)
    case raw([UInt8])
    /// The values of a record's fields, in the order of the fields.
    case record([Element])
    /// The items of a field with a shape, in C order.
    case list([Element])
}

// MARK: - Reading

extension Element {
    /// Reads the item at `offset` of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int, as dtype: DType) {
        func load<T: BitwiseCopyable>(_: T.Type) -> T {
            bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
        }
        switch dtype {
        case .int8: self = .integer(Int64(load(Int8.self)))
        case .int16: self = .integer(Int64(load(Int16.self)))
        case .int32: self = .integer(Int64(load(Int32.self)))
        case .int64: self = .integer(load(Int64.self))
        case .uint8: self = .unsigned(UInt64(load(UInt8.self)))
        case .uint16: self = .unsigned(UInt64(load(UInt16.self)))
        case .uint32: self = .unsigned(UInt64(load(UInt32.self)))
        case .uint64: self = .unsigned(load(UInt64.self))
        case .float16: self = .half(load(Float16.self))
        case .float32: self = .single(load(Float.self))
        case .float64: self = .double(load(Double.self))
        case .bool: self = .bool(load(UInt8.self) != 0)
        case .bytes(let count):
            var text = Array(bytes[offset..<offset + count])
            while text.last == 0 { text.removeLast() }
            self = .bytes(text)
        case .unicode(let count):
            var text = (0..<count).map {
                bytes.loadUnaligned(fromByteOffset: offset + 4 * $0, as: UInt32.self)
            }
            while text.last == 0 { text.removeLast() }
            var scalars = String.UnicodeScalarView()
            for code in text { scalars.append(Unicode.Scalar(code) ?? "\u{FFFD}") }
            self = .text(String(scalars))
        case .raw(let count):
            self = .raw(Array(bytes[offset..<offset + count]))
        case .record(let record):
            self = .record(
                record.fields.map { field in
                    let at = offset + field.offset
                    if field.shape.isEmpty { return Element(bytes, at: at, as: field.dtype) }
                    let count = field.shape.reduce(1, *)
                    return .list(
                        (0..<count).map {
                            Element(bytes, at: at + $0 * field.dtype.itemSize, as: field.dtype)
                        })
                })
        }
    }

    /// Reads packed items.
    static func decode(_ bytes: [UInt8], as dtype: DType) -> [Element] {
        let size = dtype.itemSize
        guard size > 0 else { return [] }
        return bytes.withUnsafeBytes { buffer in
            stride(from: 0, to: buffer.count, by: size).map { Element(buffer, at: $0, as: dtype) }
        }
    }
}

// MARK: - JSON

extension Element {
    /// The item as JSON: records as objects, raw bytes as hexadecimal text.
    ///
    /// Byte strings become text with one character for each byte (Latin-1), so that nothing is lost.
    func json(_ dtype: DType) -> JSON {
        switch self {
        case .integer(let value): return .integer(value)
        case .unsigned(let value): return .integer(value)
        case .half(let value): return .real(value)
        case .single(let value): return .real(value)
        case .double(let value): return .real(value)
        case .bool(let value): return .bool(value)
        case .bytes(let bytes):
            return .string(String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })))
        case .text(let text): return .string(text)
        case .raw(let bytes): return .string(bytes.map(Hexadecimal.text).joined())
        case .list: return .null  // only fields have a shape, and records handle them
        case .record(let values):
            var entries: [String: JSON] = [:]
            for (field, value) in zip(dtype.fields, values) {
                if case .list(let items) = value {
                    var next = 0
                    let json = items.map { $0.json(field.dtype) }
                    entries[field.name] = Self.nested(json, field.shape[...], &next)
                } else {
                    entries[field.name] = value.json(field.dtype)
                }
            }
            return .object(entries)
        }
    }

    /// Puts items in C order into lists inside of lists.
    static func nested(_ items: [JSON], _ shape: ArraySlice<Int>, _ next: inout Int) -> JSON {
        guard let length = shape.first else {
            defer { next += 1 }
            return items[next]
        }
        var list: [JSON] = []
        for _ in 0..<length { list.append(nested(items, shape.dropFirst(), &next)) }
        return .array(list)
    }
}

/// Bytes as two digits each.
enum Hexadecimal {
    static func text(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// The bytes of a text of digits, or nil if it is none.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[start..<start + 2], as: UTF8.self)
            guard pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
