import ZBigDB

/// How NumPy prints the items of one array.
indirect enum ElementFormat {
    case integer(width: Int)
    case float(FloatFormat)
    /// Single numbers, each in its own form.
    case plainFloat
    case bool(isPadded: Bool)
    /// Text, with quotes.
    case text
    /// One format for each field, and the fields' shapes.
    case record([(format: ElementFormat, shape: [Int])])

    /// The form that suits all of `elements`.
    ///
    /// - Parameter isScalar: whether it is one item and not an array.
    init(_ dtype: DType, _ elements: [Element], isScalar: Bool) {
        switch dtype {
        case .float16, .float32, .float64:
            self = isScalar ? .plainFloat : .float(Self.floatFormat(dtype, elements))
        case .bool: self = .bool(isPadded: !isScalar)
        case .bytes, .unicode, .raw: self = .text
        case .record(let record):
            let fields = record.fields.enumerated().map { index, field in
                let values = elements.flatMap { element -> [Element] in
                    guard case .record(let values) = element else { return [] }
                    if case .list(let items) = values[index] { return items }
                    return [values[index]]
                }
                var format = ElementFormat(field.dtype, values, isScalar: isScalar && field.shape.isEmpty)
                if isScalar, case .float = format { format = .plainFloat }
                return (format, field.shape)
            }
            self = .record(fields)
        default:
            self = .integer(width: elements.map { $0.integerText.count }.max() ?? 0)
        }
    }

    private static func floatFormat(_ dtype: DType, _ elements: [Element]) -> FloatFormat {
        switch dtype {
        case .float16:
            return FloatFormat(
                elements.compactMap { if case .half(let value) = $0 { value } else { nil } }, limit: 1e3)
        case .float32:
            return FloatFormat(
                elements.compactMap { if case .single(let value) = $0 { value } else { nil } }, limit: 1e6)
        default:
            return FloatFormat(
                elements.compactMap { if case .double(let value) = $0 { value } else { nil } }, limit: 1e8)
        }
    }

    /// An item in this form.
    func text(_ element: Element) -> String {
        switch self {
        case .integer(let width):
            let text = element.integerText
            return FloatFormat.spaces(width - text.count) + text
        case .float(let format):
            switch element {
            case .half(let value): return format.text(value)
            case .single(let value): return format.text(value)
            case .double(let value): return format.text(value)
            default: return ""
            }
        case .plainFloat: return element.plainText
        case .bool(let isPadded):
            guard case .bool(let value) = element else { return "" }
            return value ? (isPadded ? " True" : "True") : "False"
        case .text:
            switch element {
            case .bytes(let bytes): return PythonText.bytes(bytes)
            case .raw(let bytes): return PythonText.raw(bytes)
            case .text(let text): return PythonText.string(text)
            default: return ""
            }
        case .record(let fields):
            guard case .record(let values) = element else { return "" }
            let texts = zip(fields, values).map { field, value -> String in
                guard case .list(let items) = value else { return field.format.text(value) }
                return field.format.list(items[...], field.shape[...], isSummarised: items.count > 1000)
            }
            return texts.count == 1 ? "(\(texts[0]),)" : "(\(texts.joined(separator: ", ")))"
        }
    }

    /// The items of a field with a shape.
    private func list(_ items: ArraySlice<Element>, _ shape: ArraySlice<Int>, isSummarised: Bool) -> String {
        guard let length = shape.first else { return items.first.map(text) ?? "" }
        let size = shape.dropFirst().reduce(1, *)
        var parts: [String] = []
        for index in 0..<length {
            if isSummarised, length > 6, (3..<length - 3).contains(index) {
                if index == 3 { parts.append("...") }
                continue
            }
            let start = items.startIndex + index * size
            parts.append(
                list(items[start..<start + size], shape.dropFirst(), isSummarised: isSummarised))
        }
        return "[\(parts.joined(separator: ", "))]"
    }
}

extension Element {
    /// The digits of an integer.
    fileprivate var integerText: String {
        switch self {
        case .integer(let value): String(value)
        case .unsigned(let value): String(value)
        default: ""
        }
    }

    /// A single item as NumPy prints it: text without quotes.
    var plainText: String {
        switch self {
        case .integer, .unsigned: integerText
        case .half(let value): DecimalText.scalar(value, limit: 1e3)
        case .single(let value): DecimalText.scalar(value, limit: 1e6)
        case .double(let value): DecimalText.scalar(value, limit: 1e16)
        case .bool(let value): value ? "True" : "False"
        case .bytes(let bytes): PythonText.bytes(bytes)
        case .raw(let bytes): PythonText.raw(bytes)
        case .text(let text): text
        case .record, .list: ""
        }
    }
}
