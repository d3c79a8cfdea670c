import ZBigDB

/// Writes a slice as nested JSON lists, a bounded part of it at a time.
enum JSONItems {
    private static let pieceBytes = 1 << 20

    /// - Throws: what loading or writing throws, ``Interrupted``.
    static func write(_ slice: BigArraySlice, to output: inout StandardOutput) throws {
        guard let length = slice.shape.first else {
            let element = Element.decode(try slice.bytes(), as: slice.dtype).first
            output.write(element?.json(slice.dtype).text ?? "null")
            return
        }
        output.write("[")
        if slice.shape.count == 1 {
            let step = max(1, pieceBytes / slice.layout.itemSize)
            for start in stride(from: 0, to: length, by: step) {
                try Interruption.check()
                let part = try slice.slice([.range(start: start, stop: min(start + step, length))])
                for (index, element) in Element.decode(try part.bytes(), as: slice.dtype).enumerated() {
                    if start + index > 0 { output.write(", ") }
                    element.json(slice.dtype).write(to: &output)
                }
            }
        } else if slice.count > 0, slice.layout.byteCount <= pieceBytes {
            let elements = Element.decode(try slice.bytes(), as: slice.dtype)
            var next = 0
            let items = elements.map { $0.json(slice.dtype) }
            for index in 0..<length {
                if index > 0 { output.write(", ") }
                Element.nested(items, slice.shape[1...], &next).write(to: &output)
            }
        } else {
            for index in 0..<length {
                if index > 0 { output.write(", ") }
                try write(try slice.slice([.index(index)]), to: &output)
            }
        }
        output.write("]")
    }
}
