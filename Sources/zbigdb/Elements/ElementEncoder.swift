import ZBigDB

/// Turns values a person typed into the bytes of items, and refuses what does not fit.
///
/// Numbers must be exact for integers and finite for floats unless they were typed as infinite;
/// text must not be longer than the item; truth values are `true` and `false` only.
enum ElementEncoder {
    /// Items, packed in C order, and their shape.
    struct Items {
        var bytes: [UInt8] = []
        var shape: [Int] = []
    }

    /// Reads what was typed for items of type `dtype`.
    ///
    /// Text stands for itself where text is stored, unless it begins as a JSON list or string;
    /// everything else is JSON.
    static func parse(_ text: String, for dtype: DType) throws(ToolError) -> JSON {
        let first = text.first { !$0.isWhitespace }
        switch dtype {
        case .bytes, .unicode, .raw:
            return first == "[" || first == "\"" ? try JSONParser.parse(text) : .string(text)
        default:
            return try JSONParser.parse(text)
        }
    }

    /// Encodes a value or nested lists of values.
    ///
    /// - Throws: ``ToolError/invalidValue(_:reason:)``.
    static func encode(_ value: JSON, as dtype: DType) throws -> Items {
        guard case .array(let values) = value else {
            var items = Items()
            try append(value, dtype, to: &items.bytes)
            return items
        }
        var items = Items(bytes: [], shape: [values.count])
        for (index, value) in values.enumerated() {
            let part = try encode(value, as: dtype)
            if index == 0 {
                items.shape += part.shape
            } else if part.shape != Array(items.shape.dropFirst()) {
                throw ToolError.invalidValue(
                    shortened(.array(values)), reason: "its lists have different lengths")
            }
            items.bytes += part.bytes
        }
        return items
    }

    private static func append(_ value: JSON, _ dtype: DType, to bytes: inout [UInt8]) throws {
        switch dtype {
        case .int8: try append(integer(value, Int8.self, dtype), to: &bytes)
        case .int16: try append(integer(value, Int16.self, dtype), to: &bytes)
        case .int32: try append(integer(value, Int32.self, dtype), to: &bytes)
        case .int64: try append(integer(value, Int64.self, dtype), to: &bytes)
        case .uint8: try append(integer(value, UInt8.self, dtype), to: &bytes)
        case .uint16: try append(integer(value, UInt16.self, dtype), to: &bytes)
        case .uint32: try append(integer(value, UInt32.self, dtype), to: &bytes)
        case .uint64: try append(integer(value, UInt64.self, dtype), to: &bytes)
        case .float16: try append(real(value, Float16.self, dtype), to: &bytes)
        case .float32: try append(real(value, Float.self, dtype), to: &bytes)
        case .float64: try append(real(value, Double.self, dtype), to: &bytes)
        case .bool:
            guard case .bool(let truth) = value else { throw wrong(value, "true or false is needed") }
            bytes.append(truth ? 1 : 0)
        case .bytes(let count):
            let scalars = try text(value).unicodeScalars
            guard scalars.allSatisfy({ $0.value < 0x100 }) else {
                throw wrong(value, "only characters of one byte fit into \(dtype)")
            }
            guard scalars.count <= count else { throw wrong(value, "at most \(count) characters fit") }
            bytes += scalars.map { UInt8($0.value) }
            bytes += [UInt8](repeating: 0, count: count - scalars.count)
        case .unicode(let count):
            let scalars = try text(value).unicodeScalars
            guard scalars.count <= count else { throw wrong(value, "at most \(count) characters fit") }
            for scalar in scalars { append(scalar.value, to: &bytes) }
            bytes += [UInt8](repeating: 0, count: 4 * (count - scalars.count))
        case .raw(let count):
            guard let raw = Hexadecimal.bytes(try text(value)), raw.count == count else {
                throw wrong(value, "\(count) bytes as \(2 * count) hexadecimal digits are needed")
            }
            bytes += raw
        case .record(let record):
            try append(value, record, to: &bytes)
        }
    }

    private static func append(_ value: JSON, _ record: DType.Record, to bytes: inout [UInt8]) throws {
        let names = record.fields.map(\.name)
        guard case .object(let entries) = value else {
            throw wrong(
                value, "a record is written {\"\(names.first ?? "field")\": ..., ...}; or use --field")
        }
        if let unknown = entries.keys.sorted().first(where: { !names.contains($0) }) {
            throw ArrayError.noSuchField(unknown, available: names)
        }
        var item = [UInt8](repeating: 0, count: record.itemSize)
        for field in record.fields {
            guard let value = entries[field.name] else {
                throw wrong(.object(entries), "the field \"\(field.name)\" is missing; or use --field")
            }
            let items = try encode(value, as: field.dtype)
            let source = try StridedLayout(shape: items.shape, itemSize: field.dtype.itemSize)
                .broadcast(to: field.shape)
            let target = try StridedLayout(
                shape: field.shape, itemSize: field.dtype.itemSize, offset: field.offset)
            items.bytes.withUnsafeBytes { from in
                item.withUnsafeMutableBytes { source.copyItems(from: from, to: $0, layout: target) }
            }
        }
        bytes += item
    }

    // MARK: Scalars

    private static func append<T: BitwiseCopyable>(_ value: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value) { bytes += $0 }
    }

    private static func integer<T: FixedWidthInteger>(_ value: JSON, _: T.Type, _ dtype: DType) throws -> T {
        guard case .number(let text) = value else { throw wrong(value, "an integer is needed") }
        if let integer = T(text) { return integer }
        guard let number = Double(text), number.isFinite else { throw wrong(value, "an integer is needed") }
        guard number == number.rounded() else { throw wrong(value, "\(dtype) holds integers only") }
        // `1e3` and `5.0` are integers too; beyond 2^53 a float would not be what was typed.
        if number.magnitude <= 0x1p53, let integer = T(exactly: number) { return integer }
        throw wrong(value, "\(dtype) holds integers from \(T.min) to \(T.max)")
    }

    private static func real<T: BinaryFloatingPoint & LosslessStringConvertible>(
        _ value: JSON, _: T.Type, _ dtype: DType
    ) throws -> T {
        let text: String
        switch value {
        case .number(let number): text = number
        case .string("NaN"): return .nan
        case .string("Infinity"): return .infinity
        case .string("-Infinity"): return -.infinity
        default: throw wrong(value, "a number is needed")
        }
        let isInfinite = text.lowercased().contains("inf")
        guard let real = T(text), real.isFinite || isInfinite || real.isNaN else {
            throw wrong(value, "\(dtype) holds numbers up to \(T.greatestFiniteMagnitude)")
        }
        return real
    }

    private static func text(_ value: JSON) throws -> String {
        guard case .string(let text) = value else { throw wrong(value, "text is needed") }
        return text
    }

    private static func wrong(_ value: JSON, _ reason: String) -> ToolError {
        .invalidValue(shortened(value), reason: reason)
    }

    private static func shortened(_ value: JSON) -> String {
        let text = value.text
        return text.count <= 60 ? text : text.prefix(57) + "..."
    }
}
