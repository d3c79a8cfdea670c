/// How NumPy prints the floating point numbers of one array: all in the same form.
struct FloatFormat {
    private static let precision = 8

    private var isScientific = false
    private var leftWidth = 0
    private var rightWidth = 0
    /// Digits of the longest exponent.
    private var exponentDigits = 0

    /// The form that suits all of `values`.
    ///
    /// - Parameter limit: numbers from this one on have an exponent.
    init<T: BinaryFloatingPoint & LosslessStringConvertible>(_ values: [T], limit: Double) {
        let finite = values.filter(\.isFinite)
        let magnitudes = finite.lazy.filter { $0 != 0 }.map { Double($0.magnitude) }
        if let largest = magnitudes.max(), let smallest = magnitudes.min() {
            isScientific = largest >= limit || smallest < 0.0001 || largest / smallest > 1000
        }
        for value in finite {
            if isScientific {
                let (whole, fraction, exponent) = DecimalText.scientific(value, precision: Self.precision)
                leftWidth = max(leftWidth, whole.count)
                rightWidth = max(rightWidth, fraction.count)
                exponentDigits = max(exponentDigits, 2, String(exponent.magnitude).count)
            } else {
                let (whole, fraction) = DecimalText.positional(value, precision: Self.precision)
                leftWidth = max(leftWidth, whole.count)
                rightWidth = max(rightWidth, fraction.count)
            }
        }
        if finite.count < values.count {
            let offset = afterWhole
            leftWidth = max(leftWidth, 3 - offset)
            if values.contains(where: { $0 == -.infinity }) { leftWidth = max(leftWidth, 4 - offset) }
        }
    }

    /// The width of everything from the point on.
    private var afterWhole: Int { rightWidth + 1 + (isScientific ? exponentDigits + 2 : 0) }

    /// One of the numbers, filled up to the width of all.
    func text<T: BinaryFloatingPoint & LosslessStringConvertible>(_ value: T) -> String {
        if !value.isFinite {
            let text = value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
            return Self.spaces(leftWidth + afterWhole - text.count) + text
        }
        if isScientific {
            let (whole, fraction, exponent) = DecimalText.scientific(value, precision: Self.precision)
            let zeros = String(repeating: "0", count: rightWidth - fraction.count)
            return Self.spaces(leftWidth - whole.count) + "\(whole).\(fraction)\(zeros)"
                + DecimalText.exponentText(exponent, digits: exponentDigits)
        }
        let (whole, fraction) = DecimalText.positional(value, precision: Self.precision)
        return Self.spaces(leftWidth - whole.count) + "\(whole).\(fraction)"
            + Self.spaces(rightWidth - fraction.count)
    }

    static func spaces(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
}
