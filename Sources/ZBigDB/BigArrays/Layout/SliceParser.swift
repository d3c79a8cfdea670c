/// Reads the text of a ``SliceExpression``.
struct SliceParser {
    private let source: String
    private let text: [Character]
    private var position = 0

    init(_ text: String) {
        self.source = text
        self.text = Array(text)
    }

    mutating func parse() throws(ArrayError) -> [AxisIndex] {
        var indices: [AxisIndex] = []
        skipSpace()
        while position < text.count {
            let start = position
            let index = try part()
            if index == .ellipsis, indices.contains(.ellipsis) {
                position = start
                throw failure("only one ellipsis is allowed: write ':' for each of the other axes")
            }
            indices.append(index)
            skipSpace()
            guard position < text.count else { break }
            guard take(",") else { throw failure("a comma is missing before '\(text[position])'") }
            skipSpace()
        }
        return indices
    }

    private func failure(_ reason: String) -> ArrayError {
        .invalidSlice(source, position: position, reason: reason)
    }

    private var next: Character? {
        position < text.count ? text[position] : nil
    }

    private mutating func skipSpace() {
        while next?.isWhitespace == true { position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        guard next == character else { return false }
        position += 1
        return true
    }

    private mutating func part() throws(ArrayError) -> AxisIndex {
        let start = position
        if next == "." {
            while take(".") {}
            if position - start == 3 { return .ellipsis }
            position = start
            throw failure("an ellipsis is three dots, and an index has no decimal point")
        }
        let first = try bound()
        skipSpace()
        guard take(":") else {
            switch first {
            case .number(let value): return .index(value)
            case .nothing: return .newAxis
            case .ellipsis: return .ellipsis
            case .missing: throw failure(unexpected)
            }
        }
        if first == .ellipsis {
            position = start
            throw failure("an ellipsis cannot be a bound of a range")
        }
        let stop = try laterBound()
        skipSpace()
        var step: Int?
        if take(":") {
            skipSpace()
            let stepStart = position
            step = try laterBound().value
            if step == 0 {
                position = stepStart
                throw failure("the step cannot be 0: use 1 for every item, -1 for reverse order")
            }
        }
        return .range(start: first.value, stop: stop.value, step: step ?? 1)
    }

    /// What can stand on either side of a colon.
    private enum Bound: Equatable {
        case number(Int), nothing, ellipsis, missing

        var value: Int? {
            if case .number(let value) = self { value } else { nil }
        }
    }

    private mutating func laterBound() throws(ArrayError) -> Bound {
        skipSpace()
        let start = position
        let bound = try bound()
        if bound == .ellipsis || next == "." {
            position = start
            throw failure("a bound of a range is an integer or nothing")
        }
        return bound
    }

    private mutating func bound() throws(ArrayError) -> Bound {
        guard let character = next else { return .missing }
        if character == "-" || character == "+" || isDigit(character) { return .number(try number()) }
        if character.isLetter || character == "_" { return try word() }
        if character == ":" || character == "," { return .missing }
        throw failure(unexpected)
    }

    private mutating func number() throws(ArrayError) -> Int {
        let start = position
        var digits = ""
        if let sign = next, sign == "-" || sign == "+" {
            digits.append(sign)
            position += 1
            skipSpace()
        }
        let first = position
        while let digit = next, isDigit(digit) {
            digits.append(digit)
            position += 1
        }
        guard position > first else { throw failure("a digit is missing after '\(digits)'") }
        if let after = next, after == "." || after == "_" || after.isLetter {
            throw failure("an index is an integer: '\(after)' cannot be part of it")
        }
        guard let value = Int(digits) else {
            position = start
            throw failure("the number is too large")
        }
        return value
    }

    private mutating func word() throws(ArrayError) -> Bound {
        let start = position
        var word = ""
        while let character = next, character.isLetter || character.isNumber || "._".contains(character) {
            word.append(character)
            position += 1
        }
        switch word {
        case "None", "newaxis", "np.newaxis", "numpy.newaxis": return .nothing
        case "Ellipsis": return .ellipsis
        case "True", "False":
            position = start
            throw failure("booleans select nothing here: use an integer or a range")
        default:
            position = start
            throw failure("'\(word)' is not an index: use integers, ranges, '...' and None")
        }
    }

    private func isDigit(_ character: Character) -> Bool {
        ("0"..."9").contains(character) && character.isASCII
    }

    private var unexpected: String {
        switch next {
        case nil, ",": "an index is missing"
        case "[":
            "lists of indices are not supported: write integers and ranges, without brackets"
        case "(": "parentheses are not supported: write integers and ranges with commas between them"
        case let character?: "'\(character)' cannot start an index"
        }
    }
}
