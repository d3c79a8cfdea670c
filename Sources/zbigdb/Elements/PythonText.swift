/// Text as Python's `repr` writes it.
enum PythonText {
    static func bytes(_ bytes: [UInt8]) -> String {
        let quote = quote(for: bytes.contains(UInt8(ascii: "'")), bytes.contains(UInt8(ascii: "\"")))
        var text = "b\(quote)"
        for byte in bytes {
            switch Unicode.Scalar(byte) {
            case "\\": text += "\\\\"
            case quote: text += "\\\(quote)"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case let scalar where byte >= 0x20 && byte < 0x7F: text.unicodeScalars.append(scalar)
            default: text += "\\x\(Hexadecimal.text(byte))"
            }
        }
        return text + "\(quote)"
    }

    static func raw(_ bytes: [UInt8]) -> String {
        "b'" + bytes.map { "\\x" + Hexadecimal.text($0).uppercased() }.joined() + "'"
    }

    static func string(_ value: String) -> String {
        let scalars = value.unicodeScalars
        let quote = quote(for: scalars.contains("'"), scalars.contains("\""))
        var text = String(quote)
        for scalar in scalars {
            switch scalar {
            case "\\": text += "\\\\"
            case quote: text += "\\\(quote)"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where isPrintable(scalar): text.unicodeScalars.append(scalar)
            default: text += escaped(scalar)
            }
        }
        return text + String(quote)
    }

    private static func quote(for hasSingle: Bool, _ hasDouble: Bool) -> Unicode.Scalar {
        hasSingle && !hasDouble ? "\"" : "'"
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
