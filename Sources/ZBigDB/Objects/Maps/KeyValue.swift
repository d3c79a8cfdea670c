#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A part of a key whose type is not known: for tools and messages.
indirect enum KeyValue: Equatable {
    case none
    case bool(Bool)
    case integer(Int64)
    case large(UInt64)
    case real(Double)
    case text(String)
    case bytes([UInt8])
    case date(Date)
    case uuid(UUID)
    case list([KeyValue])

    /// The parts of a subkey; nil if it is no key.
    static func parts(of subkey: [UInt8]) -> [KeyValue]? {
        var decoder = KeyDecoder(subkey)
        var parts: [KeyValue] = []
        while !decoder.isAtEnd {
            guard let part = try? KeyValue(from: &decoder) else { return nil }
            parts.append(part)
        }
        return parts.isEmpty ? nil : parts
    }

    private init(from decoder: inout KeyDecoder) throws {
        switch try decoder.peek() {
        case KeyTag.none:
            self = .none
            _ = try decoder.tag()
        case KeyTag.no, KeyTag.yes: self = .bool(try decoder.decode())
        case KeyTag.integer: self = .integer(try decoder.integer())
        case KeyTag.large: self = .large(try decoder.integer())
        case KeyTag.real: self = .real(try decoder.real())
        case KeyTag.text: self = .text(try decoder.decode())
        case KeyTag.bytes: self = .bytes(try decoder.escaped(KeyTag.bytes))
        case KeyTag.date: self = .date(try decoder.decode())
        case KeyTag.uuid: self = .uuid(try decoder.decode())
        case KeyTag.list:
            _ = try decoder.tag()
            var items: [KeyValue] = []
            while !decoder.take(KeyTag.end) { items.append(try KeyValue(from: &decoder)) }
            self = .list(items)
        default: throw KeyDecoder.Malformed(description: "no key")
        }
    }
}

extension KeyValue: CustomStringConvertible {
    var description: String {
        switch self {
        case .none: "nil"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .large(let value): "\(value)"
        case .real(let value): "\(value)"
        case .text(let value): "\"\(value)\""
        case .bytes(let value): "\(value)"
        case .date(let value): "\(value)"
        case .uuid(let value): "\(value)"
        case .list(let items): "[\(items.map(\.description).joined(separator: ", "))]"
        }
    }
}
