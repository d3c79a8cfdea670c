/// A value as Python source text writes it: the part of the language in which
/// `.npy` headers and NumPy's type descriptions are written.
package indirect enum PythonLiteral: Hashable, Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case string(String)
    case list([PythonLiteral])
    case tuple([PythonLiteral])
    case dictionary([Entry])

    /// One key of a dictionary with its value.
    package struct Entry: Hashable, Sendable {
        let key: PythonLiteral
        let value: PythonLiteral
    }

    /// The text Python's `repr` gives for this value.
    var text: String {
        switch self {
        case .none: "None"
        case .bool(let value): value ? "True" : "False"
        case .int(let value): String(value)
        case .string(let value): PythonLiteral.quoted(value)
        case .list(let items): "[\(PythonLiteral.joined(items))]"
        case .tuple(let items): "(\(PythonLiteral.joined(items))\(items.count == 1 ? "," : ""))"
        case .dictionary(let entries):
            "{\(entries.map { "\($0.key.text): \($0.value.text)" }.joined(separator: ", "))}"
        }
    }

    private static func joined(_ items: [PythonLiteral]) -> String {
        items.map(\.text).joined(separator: ", ")
    }

    /// A string in quotes, with escapes where Python's `repr` writes them.
    package static func quoted(_ value: String) -> String {
        let scalars = value.unicodeScalars
        let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in scalars {
            switch scalar {
            case "\\", quote: result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case _ where isPrintable(scalar): result.append(scalar)
            default: result.append(contentsOf: escaped(scalar).unicodeScalars)
            }
        }
        result.append(quote)
        return String(result)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: false
        case .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)"
    }
}
