/// A JSON value. Numbers are kept as their text, so that no digit is lost.
enum JSON: Equatable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

    /// JSON has no numbers that are not finite: they become the strings `NaN`, `Infinity`, `-Infinity`.
    static func real(_ value: some BinaryFloatingPoint & LosslessStringConvertible) -> JSON {
        if value.isNaN { return .string("NaN") }
        if value.isInfinite { return .string(value < 0 ? "-Infinity" : "Infinity") }
        return .number(value.description)
    }

    static func shape(_ shape: [Int]) -> JSON { .array(shape.map { .integer($0) }) }

    // MARK: Writing

    /// The value on one line, with the keys of objects in order.
    var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// The value with a line for each entry of objects and for each of an array of objects.
    var prettyText: String {
        var text = ""
        write(to: &text, indent: "\n")
        return text
    }

    /// - Parameter indent: what begins a line; nil for all on one line.
    func write(to output: inout some TextOutputStream, indent: String? = nil) {
        switch self {
        case .null: output.write("null")
        case .bool(let value): output.write(value ? "true" : "false")
        case .number(let text): output.write(text)
        case .string(let text): Self.writeString(text, to: &output)
        case .array(let items):
            let isSimple = !items.contains { if case .object = $0 { true } else { false } }
            let inner = isSimple ? nil : indent.map { $0 + "  " }
            output.write("[")
            for (index, item) in items.enumerated() {
                if index > 0 { output.write(inner == nil ? ", " : ",") }
                output.write(inner ?? "")
                item.write(to: &output, indent: inner)
            }
            if inner != nil, let indent { output.write(indent) }
            output.write("]")
        case .object(let entries):
            let inner = indent.map { $0 + "  " }
            output.write("{")
            for (index, entry) in entries.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { output.write(inner == nil ? ", " : ",") }
                output.write(inner ?? "")
                Self.writeString(entry.key, to: &output)
                output.write(": ")
                entry.value.write(to: &output, indent: inner)
            }
            if let indent, !entries.isEmpty { output.write(indent) }
            output.write("}")
        }
    }

    private static func writeString(_ text: String, to output: inout some TextOutputStream) {
        var escaped = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": escaped += "\\\""
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            case "\t": escaped += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        output.write(escaped + "\"")
    }
}
