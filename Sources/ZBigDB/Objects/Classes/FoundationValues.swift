#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

// How dates, identifiers and bytes of Foundation are stored: under the tags that CBOR registers.

extension Date: PersistentValue {
    private static var epochTag: UInt64 { 1 }
    private static var extendedTag: UInt64 { 1001 }

    /// Writes seconds since 1970; where that would lose a bit, seconds and attoseconds.
    public func encode(to encoder: inout StateEncoder) throws {
        let seconds = timeIntervalSince1970
        if Date(timeIntervalSince1970: seconds) == self || !seconds.isFinite {
            encoder.writer.tag(Self.epochTag)
            return encoder.writer.double(seconds)
        }
        let whole = timeIntervalSinceReferenceDate.rounded(.down)
        encoder.writer.tag(Self.extendedTag)
        encoder.writer.map(2)
        encoder.writer.integer(1)
        encoder.writer.integer(Int64(whole) + Int64(Date.timeIntervalBetween1970AndReferenceDate))
        encoder.writer.integer(-18)
        encoder.writer.integer(Int64((timeIntervalSinceReferenceDate - whole) * 1e18))
    }

    /// Reads a date in either form.
    public static func decode(from decoder: inout StateDecoder) throws -> Date {
        switch try decoder.reader.tag() {
        case epochTag: return Date(timeIntervalSince1970: try decoder.reader.double())
        case extendedTag:
            var (seconds, attoseconds): (Int64, Int64) = (0, 0)
            for _ in 0..<(try decoder.reader.map()) {
                switch try decoder.reader.integer(Int.self) {
                case 1: seconds = try decoder.reader.integer()
                case -18: attoseconds = try decoder.reader.integer()
                default: try decoder.reader.skip()
                }
            }
            let whole = seconds - Int64(Date.timeIntervalBetween1970AndReferenceDate)
            return Date(timeIntervalSinceReferenceDate: Double(whole) + Double(attoseconds) / 1e18)
        default: throw CBORReader.Malformed(description: "a date was expected")
        }
    }
}

extension UUID: PersistentValue {
    private static var tag: UInt64 { 37 }

    /// Writes the 16 bytes.
    public func encode(to encoder: inout StateEncoder) throws {
        encoder.writer.tag(Self.tag)
        encoder.writer.data(bytes)
    }

    /// Reads 16 bytes.
    public static func decode(from decoder: inout StateDecoder) throws -> UUID {
        guard try decoder.reader.tag() == tag, let value = UUID(bytes: try decoder.reader.data()) else {
            throw CBORReader.Malformed(description: "a UUID was expected")
        }
        return value
    }

    var bytes: [UInt8] {
        let b = uuid
        return [b.0, b.1, b.2, b.3, b.4, b.5, b.6, b.7, b.8, b.9, b.10, b.11, b.12, b.13, b.14, b.15]
    }

    init?(bytes b: [UInt8]) {
        guard b.count == 16 else { return nil }
        self.init(
            uuid: (
                b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                b[15]
            ))
    }
}

extension Data: PersistentValue {
    /// Writes the bytes.
    public func encode(to encoder: inout StateEncoder) throws { encoder.writer.data(self) }
    /// Reads bytes.
    public static func decode(from decoder: inout StateDecoder) throws -> Data {
        Data(try decoder.reader.data())
    }
}
