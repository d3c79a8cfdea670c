/// Reads JSON, and of Python what means the same: `True`, `False`, `nan`, `inf`.
struct JSONParser {
    private let text: [Unicode.Scalar]
    private var position = 0

    /// Deeper than any array has axes.
    private static let deepest = 256

    /// - Throws: ``ToolError/invalidJSON(position:reason:)``.
    static func parse(_ text: String) throws(ToolError) -> JSON {
        var parser = JSONParser(text: Array(text.unicodeScalars))
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        if let extra = parser.next { throw parser.failure("'\(extra)' does not belong there") }
        return value
    }

    private init(text: [Unicode.Scalar]) { self.text = text }

    private var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

    private func failure(_ reason: String) -> ToolError { .invalidJSON(position: position, reason: reason) }

    private mutating func skipSpace() {
        while let next, next == " " || next == "\n" || next == "\t" || next == "\r" { position += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(ToolError) -> JSON {
        guard depth < Self.deepest else { throw failure("the lists are nested too deeply") }
        skipSpace()
        switch next {
        case nil: throw failure("a value is missing")
        case "[": return try array(depth: depth)
        case "{": return try object(depth: depth)
        case "\"": return .string(try string())
        default: return try word()
        }
    }

    private mutating func array(depth: Int) throws(ToolError) -> JSON {
        position += 1
        var items: [JSON] = []
        if take("]") { return .array([]) }
        while true {
            items.append(try value(depth: depth + 1))
            if take("]") { return .array(items) }
            guard take(",") else { throw failure("a comma or ']' is missing") }
        }
    }

    private mutating func object(depth: Int) throws(ToolError) -> JSON {
        position += 1
        var entries: [String: JSON] = [:]
        if take("}") { return .object([:]) }
        while true {
            skipSpace()
            guard next == "\"" else { throw failure("a name in double quotes is missing") }
            let key = try string()
            guard take(":") else { throw failure("a colon is missing") }
            guard entries.updateValue(try value(depth: depth + 1), forKey: key) == nil else {
                throw failure("the name \"\(key)\" is there twice")
            }
            if take("}") { return .object(entries) }
            guard take(",") else { throw failure("a comma or '}' is missing") }
        }
    }

    private mutating func string() throws(ToolError) -> String {
        position += 1
        var result = String.UnicodeScalarView()
        while let scalar = next {
            position += 1
            switch scalar {
            case "\"": return String(result)
            case "\\": result.append(try escape())
            default: result.append(scalar)
            }
        }
        throw failure("the closing quote is missing")
    }

    private mutating func escape() throws(ToolError) -> Unicode.Scalar {
        guard let scalar = next else { throw failure("the closing quote is missing") }
        position += 1
        switch scalar {
        case "\"", "\\", "/": return scalar
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code), next == "\\" {
                position += 1
                guard next == "u" else { throw failure("half a character") }
                position += 1
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a character") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let result = Unicode.Scalar(code) else { throw failure("half a character") }
            return result
        default:
            throw failure("'\\\(scalar)' is unknown")
        }
    }

    private mutating func hexadecimal() throws(ToolError) -> UInt32 {
        let digits = String(String.UnicodeScalarView(text[position..<min(position + 4, text.count)]))
        guard digits.count == 4, digits.allSatisfy(\.isHexDigit), let code = UInt32(digits, radix: 16) else {
            throw failure("four hexadecimal digits are missing")
        }
        position += 4
        return code
    }

    private mutating func word() throws(ToolError) -> JSON {
        let start = position
        while let scalar = next, !" \t\r\n,:[]{}\"".unicodeScalars.contains(scalar) { position += 1 }
        let word = String(String.UnicodeScalarView(text[start..<position]))
        switch word {
        case "null": return .null
        case "true", "True": return .bool(true)
        case "false", "False": return .bool(false)
        default: break
        }
        // Also `nan`, `inf` and `-Infinity`. Hexadecimal numbers would be read by accident.
        guard Double(word) != nil, !word.lowercased().contains("x") else {
            position = start
            throw failure(
                word.isEmpty
                    ? "a value is missing"
                    : "'\(word)' is neither a number nor true or false; text needs double quotes here")
        }
        return .number(word)
    }
}
