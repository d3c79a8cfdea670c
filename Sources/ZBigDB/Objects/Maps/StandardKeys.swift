#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

extension PersistentKey where Self: FixedWidthInteger & Codable {
    /// Writes an integer.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.integer(self) }
    /// Reads an integer that fits.
    public static func decode(from decoder: inout KeyDecoder) throws -> Self { try decoder.integer() }
}

extension Int: PersistentKey {}
extension Int8: PersistentKey {}
extension Int16: PersistentKey {}
extension Int32: PersistentKey {}
extension Int64: PersistentKey {}
extension UInt: PersistentKey {}
extension UInt8: PersistentKey {}
extension UInt16: PersistentKey {}
extension UInt32: PersistentKey {}
extension UInt64: PersistentKey {}

extension Double: PersistentKey {
    /// Writes a number.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.real(self) }
    /// Reads a number.
    public static func decode(from decoder: inout KeyDecoder) throws -> Double { try decoder.real() }
}

extension Float: PersistentKey {
    /// Writes a number.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.real(Double(self)) }
    /// Reads a number.
    public static func decode(from decoder: inout KeyDecoder) throws -> Float { Float(try decoder.real()) }
}

extension Bool: PersistentKey {
    /// Writes a truth value; false comes first.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.tag(self ? KeyTag.yes : KeyTag.no) }
    /// Reads a truth value.
    public static func decode(from decoder: inout KeyDecoder) throws -> Bool {
        if decoder.take(KeyTag.yes) { return true }
        try decoder.expect(KeyTag.no, "a truth value")
        return false
    }
}

extension String: PersistentKey {
    /// Writes text.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.escaped(KeyTag.text, utf8) }
    /// Reads text.
    public static func decode(from decoder: inout KeyDecoder) throws -> String {
        guard let text = String(validating: try decoder.escaped(KeyTag.text), as: UTF8.self) else {
            throw KeyDecoder.Malformed(description: "a key is no UTF-8")
        }
        return text
    }
}

extension Data: PersistentKey {
    /// Writes bytes.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.escaped(KeyTag.bytes, self) }
    /// Reads bytes.
    public static func decode(from decoder: inout KeyDecoder) throws -> Data {
        Data(try decoder.escaped(KeyTag.bytes))
    }
}

extension Date: PersistentKey {
    /// Writes a date.
    public func encode(to encoder: inout KeyEncoder) throws {
        encoder.real(timeIntervalSinceReferenceDate, tag: KeyTag.date)
    }
    /// Reads a date.
    public static func decode(from decoder: inout KeyDecoder) throws -> Date {
        Date(timeIntervalSinceReferenceDate: try decoder.real(tag: KeyTag.date))
    }
}

extension UUID: PersistentKey {
    /// Writes the 16 bytes.
    public func encode(to encoder: inout KeyEncoder) throws { encoder.raw(KeyTag.uuid, bytes) }
    /// Reads 16 bytes.
    public static func decode(from decoder: inout KeyDecoder) throws -> UUID {
        guard let value = UUID(bytes: try decoder.raw(KeyTag.uuid, 16)) else {
            throw KeyDecoder.Malformed(description: "a UUID expected")
        }
        return value
    }
}

extension Optional: PersistentKey where Wrapped: PersistentKey {
    /// Writes the key, or a mark that there is none, which comes first.
    public func encode(to encoder: inout KeyEncoder) throws {
        if let self { try self.encode(to: &encoder) } else { encoder.tag(KeyTag.none) }
    }
    /// Reads a key, or that there is none.
    public static func decode(from decoder: inout KeyDecoder) throws -> Wrapped? {
        decoder.take(KeyTag.none) ? nil : try Wrapped.decode(from: &decoder)
    }
}

extension Array: PersistentKey where Element: PersistentKey {
    /// Writes a list; bytes as one string of bytes. A shorter list comes before its continuations.
    public func encode(to encoder: inout KeyEncoder) throws {
        if Element.self == UInt8.self, let bytes = self as? [UInt8] {
            return encoder.escaped(KeyTag.bytes, bytes)
        }
        encoder.tag(KeyTag.list)
        for element in self { try element.encode(to: &encoder) }
        encoder.tag(KeyTag.end)
    }
    /// Reads a list.
    public static func decode(from decoder: inout KeyDecoder) throws -> [Element] {
        if Element.self == UInt8.self, let bytes = try decoder.escaped(KeyTag.bytes) as? [Element] {
            return bytes
        }
        try decoder.expect(KeyTag.list, "a list")
        var elements: [Element] = []
        while !decoder.take(KeyTag.end) { elements.append(try Element.decode(from: &decoder)) }
        return elements
    }
}

/// A key of several parts, ordered by the first, then the second, and so on.
///
/// ```swift
/// let readings = PersistentMap<CompositeKey<String, Date>, Double>()
/// try readings.updateValue(20.5, forKey: CompositeKey("roof", .now))
/// ```
public struct CompositeKey<each Part: PersistentKey>: PersistentKey {
    /// The parts.
    public let parts: (repeat each Part)

    /// A key of these parts.
    public init(_ parts: repeat each Part) { self.parts = (repeat each parts) }

    /// Writes the parts one after the other.
    public func encode(to encoder: inout KeyEncoder) throws { repeat try (each parts).encode(to: &encoder) }

    /// Reads the parts.
    public static func decode(from decoder: inout KeyDecoder) throws -> CompositeKey {
        CompositeKey(repeat try (each Part).decode(from: &decoder))
    }
}

extension CompositeKey: Equatable where repeat each Part: Equatable {
    /// Whether all parts are equal.
    public static func == (a: CompositeKey, b: CompositeKey) -> Bool {
        for (x, y) in repeat (each a.parts, each b.parts) {
            guard isEqual(x, y) else { return false }
        }
        return true
    }

    private static func isEqual<T: Equatable>(_ a: T, _ b: T) -> Bool { a == b }
}

extension CompositeKey: Comparable where repeat each Part: Comparable {
    /// The order of the first parts that differ.
    public static func < (a: CompositeKey, b: CompositeKey) -> Bool {
        for (x, y) in repeat (each a.parts, each b.parts) {
            if let isLess = isLess(x, y) { return isLess }
        }
        return false
    }

    /// Nil if neither comes first.
    private static func isLess<T: Comparable>(_ a: T, _ b: T) -> Bool? { a < b ? true : b < a ? false : nil }
}

extension CompositeKey: Sendable where repeat each Part: Sendable {}
