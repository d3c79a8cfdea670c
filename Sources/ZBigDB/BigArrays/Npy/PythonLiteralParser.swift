/// Reads a ``PythonLiteral`` from text.
///
/// Integers with Python 2's `L` and strings with its `u` are understood. Nesting
/// is limited, so hostile text cannot exhaust the stack.
struct PythonLiteralParser {
    /// Why text is not a literal; the position counts Unicode scalars from 0.
    struct Failure: Error {
        let position: Int
        let reason: String
    }

    private static let maximumDepth = 100

    private let text: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    private init(_ text: [Unicode.Scalar]) {
        self.text = text
    }

    /// The value that makes up the whole of `text`.
    static func parse(_ text: some Sequence<Unicode.Scalar>) throws(Failure) -> PythonLiteral {
        var parser = PythonLiteralParser(Array(text))
        let value = try parser.value()
        parser.skipSpace()
        guard parser.position == parser.text.count else {
            throw parser.failure("nothing may follow the value")
        }
        return value
    }

    private func failure(_ reason: String) -> Failure {
        Failure(position: position, reason: reason)
    }

    private var next: Unicode.Scalar? {
        position < text.count ? text[position] : nil
    }

    private mutating func skipSpace() {
        while let scalar = next, " \t\r\n\u{0C}".unicodeScalars.contains(scalar) { position += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func value() throws(Failure) -> PythonLiteral {
        skipSpace()
        guard depth < Self.maximumDepth else { throw failure("the value is nested too deeply") }
        depth += 1
        defer { depth -= 1 }
        switch next {
        case nil: throw failure("the text ends where a value is needed")
        case "[":
            position += 1
            return .list(try items(until: "]").items)
        case "(":
            position += 1
            let (items, commas) = try items(until: ")")
            return items.count == 1 && commas == 0 ? items[0] : .tuple(items)
        case "{":
            position += 1
            return .dictionary(try entries())
        case "'", "\"": return .string(try string())
        case "-", "+": return .int(try integer())
        case let scalar? where ("0"..."9").contains(scalar): return .int(try integer())
        default: return try word()
        }
    }

    private mutating func items(
        until end: Unicode.Scalar
    ) throws(Failure) -> (items: [PythonLiteral], commas: Int) {
        var items: [PythonLiteral] = []
        var commas = 0
        while !take(end) {
            guard commas == items.count else { throw failure("'\(end)' or a comma is missing") }
            items.append(try value())
            if take(",") { commas += 1 }
        }
        return (items, commas)
    }

    private mutating func entries() throws(Failure) -> [PythonLiteral.Entry] {
        var entries: [PythonLiteral.Entry] = []
        var commas = 0
        while !take("}") {
            guard commas == entries.count else { throw failure("'}' or a comma is missing") }
            let key = try value()
            guard take(":") else { throw failure("a colon is missing after a key") }
            entries.append(PythonLiteral.Entry(key: key, value: try value()))
            if take(",") { commas += 1 }
        }
        return entries
    }

    private mutating func word() throws(Failure) -> PythonLiteral {
        let start = position
        while let scalar = next, scalar.properties.isAlphabetic || scalar == "_" { position += 1 }
        let word = String(String.UnicodeScalarView(text[start..<position]))
        switch word {
        case "True": return .bool(true)
        case "False": return .bool(false)
        case "None": return .none
        case "u" where next == "'" || next == "\"", "U" where next == "'" || next == "\"":
            return .string(try string())
        default:
            position = start
            throw failure(word.isEmpty ? "unexpected character" : "'\(word)' is not a literal value")
        }
    }

    private mutating func integer() throws(Failure) -> Int {
        let start = position
        var digits = ""
        if next == "-" || next == "+" {
            digits.unicodeScalars.append(text[position])
            position += 1
        }
        let first = position
        while let scalar = next, ("0"..."9").contains(scalar) {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        guard position > first else { throw failure("a digit is missing") }
        guard position == first + 1 || text[first] != "0" else {
            throw failure("an integer cannot start with 0")
        }
        if next == "L" || next == "l" { position += 1 }
        guard let value = Int(digits) else {
            position = start
            throw failure("the integer is too large")
        }
        if let scalar = next, scalar.properties.isAlphabetic || "._".unicodeScalars.contains(scalar) {
            throw failure("only integers are allowed here")
        }
        return value
    }

    private mutating func string() throws(Failure) -> String {
        let quote = text[position]
        position += 1
        var result = String.UnicodeScalarView()
        while let scalar = next {
            position += 1
            switch scalar {
            case quote: return String(result)
            case "\n", "\r": throw failure("a string does not end on its line")
            case "\\": try escape(into: &result)
            default: result.append(scalar)
            }
        }
        throw failure("a string does not end")
    }

    private mutating func escape(into result: inout String.UnicodeScalarView) throws(Failure) {
        guard let scalar = next else { throw failure("a string does not end") }
        position += 1
        switch scalar {
        case "\n": break
        case "\\", "'", "\"": result.append(scalar)
        case "a": result.append("\u{07}")
        case "b": result.append("\u{08}")
        case "f": result.append("\u{0C}")
        case "n": result.append("\n")
        case "r": result.append("\r")
        case "t": result.append("\t")
        case "v": result.append("\u{0B}")
        case "x": result.append(try code(digits: 2...2, radix: 16))
        case "u": result.append(try code(digits: 4...4, radix: 16))
        case "U": result.append(try code(digits: 8...8, radix: 16))
        case "0"..."7":
            position -= 1
            result.append(try code(digits: 1...3, radix: 8))
        case "N": throw failure("characters by name are not supported")
        default: result.append(contentsOf: ["\\", scalar])
        }
    }

    private mutating func code(digits: ClosedRange<Int>, radix: UInt32) throws(Failure) -> Unicode.Scalar {
        var value: UInt32 = 0
        var count = 0
        while count < digits.upperBound, let digit = next?.digit, digit < radix {
            value = value * radix + digit
            position += 1
            count += 1
        }
        guard count >= digits.lowerBound else { throw failure("an escape needs \(digits.lowerBound) digits") }
        guard let scalar = Unicode.Scalar(value) else { throw failure("an escape names no character") }
        return scalar
    }
}

extension Unicode.Scalar {
    /// The value of an ASCII digit, up to 15 for `f`.
    fileprivate var digit: UInt32? {
        switch self {
        case "0"..."9": value - 48
        case "a"..."f": value - 87
        case "A"..."F": value - 55
        default: nil
        }
    }
}
