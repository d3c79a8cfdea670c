import ZBigDB

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

    static func string(_ value: String) -> String { PythonLiteral.quoted(value) }

    private static func quote(for hasSingle: Bool, _ hasDouble: Bool) -> Unicode.Scalar {
        hasSingle && !hasDouble ? "\"" : "'"
    }
}
