import ZBigDB

/// A slice as NumPy prints it.
///
/// Above a thousand items only the first and last three on each axis are shown, and only those
/// are read.
struct NumPyText {
    private let shape: [Int]
    private let isSummarised: Bool
    private let format: ElementFormat
    /// The items shown, in C order.
    private var elements: ArraySlice<Element>

    private static let threshold = 1000
    private static let edge = 3
    private static let lineWidth = 75

    /// - Throws: what loading throws.
    static func text(_ slice: BigArraySlice) throws -> String {
        if slice.shape.isEmpty {
            guard let element = Element.decode(try slice.bytes(), as: slice.dtype).first else { return "" }
            guard case .record = element else { return element.plainText }
            return ElementFormat(slice.dtype, [element], isScalar: true).text(element)
        }
        if slice.count == 0 { return "[]" }
        var text = try NumPyText(slice)
        return text.lines(axis: 0, indent: " ", width: lineWidth)
    }

    private init(_ slice: BigArraySlice) throws {
        shape = slice.shape
        isSummarised = slice.count > Self.threshold
        var elements: [Element] = []
        if isSummarised {
            try Self.collect(slice, into: &elements)
        } else {
            elements = Element.decode(try slice.bytes(), as: slice.dtype)
        }
        format = ElementFormat(slice.dtype, elements, isScalar: false)
        self.elements = elements[...]
    }

    /// Reads the items at the edges of every axis.
    private static func collect(_ slice: BigArraySlice, into elements: inout [Element]) throws {
        guard let length = slice.shape.first else { return }
        let ranges = length > 2 * edge ? [0..<edge, (length - edge)..<length] : [0..<length]
        for range in ranges {
            if slice.shape.count == 1 {
                let part = try slice.slice([.range(start: range.lowerBound, stop: range.upperBound)])
                elements += Element.decode(try part.bytes(), as: slice.dtype)
            } else {
                for index in range { try collect(try slice.slice([.index(index)]), into: &elements) }
            }
        }
    }

    // MARK: Layout

    private mutating func lines(axis: Int, indent: String, width: Int) -> String {
        guard axis < shape.count else { return elements.popFirst().map(format.text) ?? "" }
        let length = shape[axis]
        let isCut = isSummarised && length > 2 * Self.edge
        let shown = isCut ? 2 * Self.edge : length
        let isLast = axis == shape.count - 1
        var text = ""
        var line = indent
        for position in 0..<shown {
            if isCut, position == Self.edge {
                if isLast {
                    Self.extend(&text, &line, "...", width: width - 1, indent: indent)
                    line += " "
                } else {
                    text += indent + "..." + String(repeating: "\n", count: shape.count - axis - 1)
                }
            }
            let part = lines(axis: axis + 1, indent: indent + " ", width: width - 1)
            if isLast {
                Self.extend(&text, &line, part, width: width - 1, indent: indent)
                if position < shown - 1 { line += " " }
            } else {
                text += indent + part
                if position < shown - 1 {
                    text += String(repeating: "\n", count: shape.count - axis - 1)
                }
            }
        }
        if isLast { text += line }
        return "[" + text.dropFirst(indent.count) + "]"
    }

    /// Adds a word to the line, or begins a new line with it.
    private static func extend(
        _ text: inout String, _ line: inout String, _ word: String, width: Int, indent: String
    ) {
        // Lengths as Python counts them: in code points.
        let length = line.unicodeScalars.count
        if length + word.unicodeScalars.count > width, length > indent.count {
            while line.last == " " { line.removeLast() }
            text += line + "\n"
            line = indent
        }
        line += word
    }
}
