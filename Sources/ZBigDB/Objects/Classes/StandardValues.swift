// How the types of the standard library are stored.

extension PersistentValue where Self: FixedWidthInteger {
    /// Writes an integer, as short as it can be.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.integer(self) }
    /// Reads an integer that fits.
    public static func decode(from decoder: inout StateDecoder) throws -> Self {
        try decoder.reader.integer()
    }
}

extension PersistentValue where Self: FixedWidthInteger & Codable {
    /// Writes an integer, as short as it can be.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.integer(self) }
    /// Reads an integer that fits.
    public static func decode(from decoder: inout StateDecoder) throws -> Self {
        try decoder.reader.integer()
    }
}

extension Int: PersistentValue {}
extension Int8: PersistentValue {}
extension Int16: PersistentValue {}
extension Int32: PersistentValue {}
extension Int64: PersistentValue {}
extension UInt: PersistentValue {}
extension UInt8: PersistentValue {}
extension UInt16: PersistentValue {}
extension UInt32: PersistentValue {}
extension UInt64: PersistentValue {}

extension Bool: PersistentValue {
    /// Writes a truth value.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.bool(self) }
    /// Reads a truth value.
    public static func decode(from decoder: inout StateDecoder) throws -> Bool { try decoder.reader.bool() }
}

extension Double: PersistentValue {
    /// Writes a number in the shortest size that keeps it.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.double(self) }
    /// Reads a number of any size.
    public static func decode(from decoder: inout StateDecoder) throws -> Double {
        try decoder.reader.double()
    }
}

extension Float: PersistentValue {
    /// Writes a number in the shortest size that keeps it.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.double(Double(self)) }
    /// Reads a number that fits.
    public static func decode(from decoder: inout StateDecoder) throws -> Float {
        Float(try decoder.reader.double())
    }
}

extension String: PersistentValue {
    /// Writes text.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.text(self) }
    /// Reads text.
    public static func decode(from decoder: inout StateDecoder) throws -> String { try decoder.reader.text() }
}

extension Optional: PersistentValue where Wrapped: PersistentValue {
    /// Writes the value, or null.
    public func encode(to encoder: inout StateEncoder) throws {
        if let self { try self.encode(to: &encoder) } else { encoder.writer.null() }
    }

    /// Reads a value, or null.
    public static func decode(from decoder: inout StateDecoder) throws -> Wrapped? {
        decoder.reader.takeNull() ? nil : try Wrapped.decode(from: &decoder)
    }
}

extension Array: PersistentValue where Element: PersistentValue {
    /// Writes a list; bytes as one string of bytes.
    public func encode(to encoder: inout StateEncoder) throws {
        if Element.self == UInt8.self, let bytes = self as? [UInt8] { return encoder.writer.data(bytes) }
        encoder.writer.array(count)
        for element in self { try element.encode(to: &encoder) }
    }

    /// Reads a list.
    public static func decode(from decoder: inout StateDecoder) throws -> [Element] {
        if Element.self == UInt8.self, let bytes = try decoder.reader.data() as? [Element] { return bytes }
        let count = try decoder.reader.array()
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try Element.decode(from: &decoder)) }
        return elements
    }
}

extension Set: PersistentValue where Element: PersistentValue {
    private static var tag: UInt64 { 258 }

    /// Writes a list under the tag of sets.
    public func encode(to encoder: inout StateEncoder) throws {
        encoder.writer.tag(Self.tag)
        encoder.writer.array(count)
        for element in self { try element.encode(to: &encoder) }
    }

    /// Reads a set.
    public static func decode(from decoder: inout StateDecoder) throws -> Set<Element> {
        guard try decoder.reader.tag() == tag else {
            throw CBORReader.Malformed(description: "a set was expected")
        }
        var elements: Set<Element> = []
        for _ in 0..<(try decoder.reader.array()) { elements.insert(try Element.decode(from: &decoder)) }
        return elements
    }
}

extension Dictionary: PersistentValue where Key: PersistentValue, Value: PersistentValue {
    /// Writes a map.
    public func encode(to encoder: inout StateEncoder) throws {
        encoder.writer.map(count)
        for (key, value) in self {
            try key.encode(to: &encoder)
            try value.encode(to: &encoder)
        }
    }

    /// Reads a map.
    public static func decode(from decoder: inout StateDecoder) throws -> [Key: Value] {
        var entries: [Key: Value] = [:]
        for _ in 0..<(try decoder.reader.map()) {
            let key = try Key.decode(from: &decoder)
            entries[key] = try Value.decode(from: &decoder)
        }
        return entries
    }
}
