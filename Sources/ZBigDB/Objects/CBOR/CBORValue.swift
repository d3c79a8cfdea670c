/// Any CBOR item as a value, for tools that look at records without knowing their classes.
indirect enum CBORValue: Equatable, Sendable {
    case unsigned(UInt64)
    /// -1 - n.
    case negative(UInt64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    /// In the order of the record.
    case map([Pair])
    case tagged(UInt64, CBORValue)
    case bool(Bool)
    case null
    case undefined
    case simple(UInt8)
    case double(Double)

    struct Pair: Equatable, Sendable {
        let key: CBORValue
        let value: CBORValue
    }

    init(decoding bytes: [UInt8]) throws(CBORReader.Malformed) {
        var reader = CBORReader(bytes)
        self = try reader.value()
        guard reader.isAtEnd else {
            throw CBORReader.Malformed(description: "\(bytes.count - reader.position) bytes are left over")
        }
    }

    func encode(into writer: inout CBORWriter) {
        switch self {
        case .unsigned(let value): writer.unsigned(value)
        case .negative(let value): writer.head(.negative, value)
        case .bytes(let value): writer.data(value)
        case .text(let value): writer.text(value)
        case .array(let items):
            writer.array(items.count)
            for item in items { item.encode(into: &writer) }
        case .map(let pairs):
            writer.map(pairs.count)
            for pair in pairs {
                pair.key.encode(into: &writer)
                pair.value.encode(into: &writer)
            }
        case .tagged(let tag, let value):
            writer.tag(tag)
            value.encode(into: &writer)
        case .bool(let value): writer.bool(value)
        case .null: writer.null()
        case .undefined: writer.head(.simple, 23)
        case .simple(let value): writer.head(.simple, UInt64(value))
        case .double(let value): writer.double(value)
        }
    }
}

extension CBORReader {
    /// The next item, whatever it is.
    mutating func value(depth: Int = 0) throws(Malformed) -> CBORValue {
        guard depth < Self.deepest else { throw Malformed(description: "too deeply nested") }
        let major = try peek()
        switch major {
        case .unsigned: return .unsigned(try head(.unsigned))
        case .negative: return .negative(try head(.negative))
        case .bytes: return .bytes(try data())
        case .text: return .text(try text())
        case .tag:
            let tag = try self.tag()
            return .tagged(tag, try value(depth: depth + 1))
        case .array:
            var items: [CBORValue] = []
            try eachItem(of: .array) { reader throws(Malformed) in
                items.append(try reader.value(depth: depth + 1))
            }
            return .array(items)
        case .map:
            var pairs: [CBORValue.Pair] = []
            try eachItem(of: .map) { reader throws(Malformed) in
                let key = try reader.value(depth: depth + 1)
                pairs.append(CBORValue.Pair(key: key, value: try reader.value(depth: depth + 1)))
            }
            return .map(pairs)
        case .simple: return try simple()
        }
    }

    private mutating func eachItem(
        of major: CBORWriter.Major, _ body: (inout CBORReader) throws(Malformed) -> Void
    ) throws(Malformed) {
        guard let count = try openHead(major) else {
            while !take(0xff) { try body(&self) }
            return
        }
        for _ in 0..<count { try body(&self) }
    }

    private mutating func simple() throws(Malformed) -> CBORValue {
        let form = bytes[position] & 0x1f
        if form >= 25, form <= 27 { return .double(try double()) }
        guard let code = try openHead(.simple) else {
            throw Malformed(description: "a break without a start")
        }
        switch code {
        case 20: return .bool(false)
        case 21: return .bool(true)
        case 22: return .null
        case 23: return .undefined
        default: return .simple(UInt8(truncatingIfNeeded: code))
        }
    }
}
