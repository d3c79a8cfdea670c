extension DType: CustomStringConvertible {
    /// NumPy's text for the type with little-endian byte order: `<f8`, `|S6`, or a list such as
    /// `[('name', '|S6'), ('value', '<f8')]`. ``init(descr:)`` reads it back.
    public var description: String {
        if case .record = self { return literal(.identity).text }
        return typeString(bigEndian: false)
    }

    /// Reads a type from NumPy's text: a type string (`<f8`), with or without quotes, a type's name
    /// (`float64`), or a list of fields.
    ///
    /// Byte order marks are accepted and ignored: items are stored little endian.
    ///
    /// - Throws: ``ArrayError/objectDType``, ``ArrayError/unsupportedDType(_:)`` or
    ///   ``ArrayError/invalidDType(_:reason:)``.
    public init(descr: String) throws(ArrayError) {
        let trimmed = descr.drop { $0 == " " }
        guard let first = trimmed.first, "'\"[(".contains(first) else {
            self = try DType.parse(typeString: descr).dtype
            return
        }
        let literal: PythonLiteral
        do {
            literal = try PythonLiteralParser.parse(descr.unicodeScalars)
        } catch {
            throw .invalidDType(descr, reason: "\(error.reason) (position \(error.position))")
        }
        self = try DType.parse(literal).dtype
    }
}

// MARK: - Writing

extension DType {
    /// The value NumPy writes as `descr` for this type when `plan` swaps it to little endian.
    func literal(_ plan: ByteSwap.Plan) -> PythonLiteral {
        guard case .record(let record) = self else {
            return .string(typeString(bigEndian: plan != .identity))
        }
        var plans = [ByteSwap.Plan](repeating: .identity, count: record.fields.count)
        if case .record(_, let fields) = plan { plans = fields.map(\.plan) }
        var items: [PythonLiteral] = []
        var end = 0
        for (field, plan) in zip(record.fields, plans) {
            if field.offset > end { items.append(DType.padding(field.offset - end)) }
            var item: [PythonLiteral] = [.string(field.name), field.dtype.literal(plan)]
            if !field.shape.isEmpty { item.append(.tuple(field.shape.map(PythonLiteral.int))) }
            items.append(.tuple(item))
            // Checked when the record was made: a field's size is exact.
            end = field.offset + ((try? field.byteCount()) ?? 0)
        }
        if record.itemSize > end { items.append(DType.padding(record.itemSize - end)) }
        return .list(items)
    }

    private static func padding(_ count: Int) -> PythonLiteral {
        .tuple([.string(""), .string("|V\(count)")])
    }

    private func typeString(bigEndian: Bool) -> String {
        let order = wordSize == nil ? "|" : bigEndian ? ">" : "<"
        switch self {
        case .int8, .int16, .int32, .int64: return "\(order)i\(itemSize)"
        case .uint8, .uint16, .uint32, .uint64: return "\(order)u\(itemSize)"
        case .float16, .float32, .float64: return "\(order)f\(itemSize)"
        case .bool: return "|b1"
        case .bytes(let count): return "|S\(count)"
        case .unicode(let count): return "\(order)U\(count)"
        case .raw(let count): return "|V\(count)"
        case .record: return literal(.identity).text
        }
    }
}

// MARK: - Reading

extension DType {
    /// A type as a file describes it, with what turns its bytes into little endian.
    typealias Described = (dtype: DType, plan: ByteSwap.Plan)

    /// Reads the `descr` value of a file.
    static func parse(_ literal: PythonLiteral) throws(ArrayError) -> Described {
        switch literal {
        case .string(let text): return try parse(typeString: text)
        case .list(let items): return try parse(fields: items)
        default:
            throw .invalidDType(literal.text, reason: "a type string or a list of fields is needed")
        }
    }

    private static func parse(fields items: [PythonLiteral]) throws(ArrayError) -> Described {
        var fields: [Field] = []
        var plans: [ByteSwap.Plan] = []
        var end = 0
        for item in items {
            let (field, plan) = try parse(field: item, offset: end)
            let (next, overflow) = end.addingReportingOverflow(try field.byteCount())
            guard !overflow else { throw .invalidDType(item.text, reason: "the record is too large") }
            end = next
            guard !field.readsAsPadding else { continue }
            fields.append(field)
            plans.append(plan)
        }
        let record = try Record(fields: fields, itemSize: end)
        return (.record(record), ByteSwap.Plan(record: record, fields: plans))
    }

    private static func parse(
        field item: PythonLiteral, offset: Int
    ) throws(ArrayError) -> (Field, ByteSwap.Plan) {
        guard case .tuple(let parts) = item, parts.count == 2 || parts.count == 3 else {
            throw .invalidDType(item.text, reason: "a field is (name, type) or (name, type, shape)")
        }
        let name: String
        switch parts[0] {
        case .string(let text): name = text
        case .tuple(let pair) where pair.count == 2:
            guard case .string(let text) = pair[1] else { fallthrough }
            name = text
        default:
            throw .invalidDType(item.text, reason: "a field's name is a string or (title, name)")
        }
        var shape = parts.count == 3 ? try parse(shape: parts[2], of: item) : []
        var inner = parts[1]
        // An array inside of an array: the outer lengths come first.
        while case .tuple(let pair) = inner, pair.count == 2 {
            shape += try parse(shape: pair[1], of: item)
            inner = pair[0]
        }
        let (dtype, plan) = try parse(inner)
        return (Field(name: name, offset: offset, dtype: dtype, shape: shape), plan)
    }

    private static func parse(shape: PythonLiteral, of item: PythonLiteral) throws(ArrayError) -> [Int] {
        switch shape {
        case .int(let length): return [length]
        case .tuple(let lengths):
            var result: [Int] = []
            for case .int(let length) in lengths { result.append(length) }
            if result.count == lengths.count { return result }
        default: break
        }
        throw .invalidDType(item.text, reason: "a field's shape is a tuple of integers")
    }
}
