import Foundation

/// The digits of a finite number: the fewest that tell it from its neighbours.
struct DecimalText {
    let isNegative: Bool
    /// Without zeros at either end; empty for zero.
    let digits: [UInt8]
    /// The number is 0.DIGITS times ten to this power.
    let point: Int

    init(_ value: some BinaryFloatingPoint & LosslessStringConvertible) {
        self.init(text: value.description)
    }

    /// Reads text such as `12.5`, `-1e-05`.
    private init(text: String) {
        isNegative = text.first == "-"
        let parts = text.drop { $0 == "-" }.split(separator: "e")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = mantissa.flatMap { $0.utf8 }
        var point = mantissa[0].utf8.count + exponent
        while digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        self.digits = digits
        self.point = digits.isEmpty ? 1 : point
    }

    /// The digits before and after the point, no more than `precision` of the latter.
    static func positional(
        _ value: some BinaryFloatingPoint & LosslessStringConvertible, precision: Int
    ) -> (whole: String, fraction: String) {
        var decimal = DecimalText(value)
        if decimal.digits.count - decimal.point > precision {
            // The exact value decides how to round, not its shortest digits.
            decimal = DecimalText(text: String(format: "%.\(precision)f", Double(value)))
        }
        let sign = decimal.isNegative ? "-" : ""
        let digits = decimal.digits
        if digits.isEmpty { return (sign + "0", "") }
        if decimal.point <= 0 {
            return (sign + "0", String(repeating: "0", count: -decimal.point) + string(digits[...]))
        }
        let whole = string(digits.prefix(decimal.point))
        let zeros = String(repeating: "0", count: max(0, decimal.point - digits.count))
        return (sign + whole + zeros, string(digits.dropFirst(decimal.point)))
    }

    /// The digit before the point, those after it, and the exponent of ten.
    static func scientific(
        _ value: some BinaryFloatingPoint & LosslessStringConvertible, precision: Int
    ) -> (whole: String, fraction: String, exponent: Int) {
        var decimal = DecimalText(value)
        if decimal.digits.count > precision + 1 {
            decimal = DecimalText(text: String(format: "%.\(precision)e", Double(value)))
        }
        let sign = decimal.isNegative ? "-" : ""
        guard decimal.digits.first != nil else { return (sign + "0", "", 0) }
        return (
            sign + string(decimal.digits.prefix(1)), string(decimal.digits.dropFirst()), decimal.point - 1
        )
    }

    /// A single number as NumPy prints it, with an exponent from `limit` on.
    static func scalar(
        _ value: some BinaryFloatingPoint & LosslessStringConvertible, limit: Double
    ) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let magnitude = Double(value.magnitude)
        if magnitude == 0 || (magnitude >= 1e-4 && magnitude < limit) {
            let (whole, fraction) = positional(value, precision: .max)
            return "\(whole).\(fraction.isEmpty ? "0" : fraction)"
        }
        let (whole, fraction, exponent) = scientific(value, precision: 1000)
        return whole + (fraction.isEmpty ? "" : ".\(fraction)") + exponentText(exponent, digits: 2)
    }

    /// `e+05`, with at least this many digits.
    static func exponentText(_ exponent: Int, digits: Int) -> String {
        let text = String(exponent.magnitude)
        let zeros = String(repeating: "0", count: max(0, digits - text.count))
        return "e\(exponent < 0 ? "-" : "+")\(zeros)\(text)"
    }

    private static func string(_ digits: ArraySlice<UInt8>) -> String {
        String(decoding: digits, as: UTF8.self)
    }
}
