/// A part of a file of exported objects (FORMAT.md): a sequence of CBOR items (RFC 8742), each a byte string with
/// the encoded part (tag 24), so that its length is known before it is read.
enum ExportItem: Equatable {
    /// The first: names and what they refer to.
    case start([Name])
    /// An object's record, with its parts behind it.
    case object(OID, record: [UInt8])
    /// An entry of a map or set.
    case entry(OID, key: [UInt8], value: [UInt8])
    /// Elements of a list, one after the other.
    case elements(OID, count: Int, [UInt8])
    /// What a block of an array file begins with; the rest of it are zeros.
    case block(OID, Int, [UInt8])
    /// The last: how many items there are before it, and the checksum of all their bytes.
    case end(items: Int, checksum: UInt32)

    struct Name: Equatable {
        let name: String
        let oid: OID
    }

    static let title = "zbigdb objects"
    static let version: UInt64 = 1
    private static let encodedItem: UInt64 = 24

    private enum Kind: UInt64 {
        case start, object, entry, elements, block, end

        /// How many parts an item of it has, with the kind itself.
        var parts: Int {
            switch self {
            case .object, .end: 3
            case .start, .entry, .elements, .block: 4
            }
        }
    }

    /// The item as it is in the file.
    var encoded: [UInt8] {
        var item = CBORWriter()
        func begin(_ kind: Kind) {
            item.array(kind.parts)
            item.unsigned(kind.rawValue)
        }
        switch self {
        case .start(let names):
            begin(.start)
            item.text(Self.title)
            item.unsigned(Self.version)
            item.map(names.count)
            for name in names {
                item.text(name.name)
                item.unsigned(name.oid.rawValue)
            }
        case .object(let oid, let record):
            begin(.object)
            item.unsigned(oid.rawValue)
            item.data(record)
        case .entry(let oid, let key, let value):
            begin(.entry)
            item.unsigned(oid.rawValue)
            item.data(key)
            item.data(value)
        case .elements(let oid, let count, let bytes):
            begin(.elements)
            item.unsigned(oid.rawValue)
            item.integer(count)
            item.data(bytes)
        case .block(let oid, let number, let bytes):
            begin(.block)
            item.unsigned(oid.rawValue)
            item.integer(number)
            item.data(bytes)
        case .end(let items, let checksum):
            begin(.end)
            item.integer(items)
            item.integer(checksum)
        }
        var writer = CBORWriter()
        writer.tag(Self.encodedItem)
        writer.data(item.bytes)
        return writer.bytes
    }

    /// The length of the item whose head begins `bytes`, and of the head; nil if that is not all there.
    static func extent(_ bytes: [UInt8], at position: Int) throws(CBORReader.Malformed) -> (
        head: Int, body: UInt64
    )? {
        var reader = CBORReader(bytes)
        reader.position = position
        do throws(CBORReader.Malformed) {
            guard try reader.tag() == encodedItem else {
                throw CBORReader.Malformed(description: "an encoded item was expected")
            }
            let body = try reader.head(.bytes)
            return (reader.position - position, body)
        } catch {
            // The longest head has 11 bytes.
            if bytes.count - position < 11 { return nil }
            throw error
        }
    }

    /// Reads the body of an item.
    init(decoding body: [UInt8]) throws(CBORReader.Malformed) {
        var reader = CBORReader(body)
        let parts = try reader.array()
        guard parts > 0, let kind = Kind(rawValue: try reader.unsigned()) else {
            throw CBORReader.Malformed(description: "an item of no known kind")
        }
        guard parts == kind.parts else {
            throw CBORReader.Malformed(description: "an item of \(parts) parts")
        }
        switch kind {
        case .start: self = try Self.start(from: &reader)
        case .object: self = .object(try reader.oid(), record: try reader.data())
        case .entry: self = .entry(try reader.oid(), key: try reader.data(), value: try reader.data())
        case .elements: self = .elements(try reader.oid(), count: try reader.integer(), try reader.data())
        case .block: self = .block(try reader.oid(), try reader.integer(), try reader.data())
        case .end: self = .end(items: try reader.integer(), checksum: try reader.integer())
        }
        guard reader.isAtEnd else { throw CBORReader.Malformed(description: "bytes are left over") }
    }

    /// The version is looked at by whoever reads the file: what comes behind it may be something else.
    private static func start(from reader: inout CBORReader) throws(CBORReader.Malformed) -> ExportItem {
        guard try reader.text() == title, try reader.unsigned() == version else {
            throw CBORReader.Malformed(description: "another title or version")
        }
        var names: [Name] = []
        for _ in 0..<(try reader.map()) { names.append(Name(name: try reader.text(), oid: try reader.oid())) }
        return .start(names)
    }

    /// The version that the body of a first item says; nil if it is no first item.
    static func version(of body: [UInt8]) -> UInt64? {
        var reader = CBORReader(body)
        guard (try? reader.array()) ?? 0 >= 3, (try? reader.unsigned()) == Kind.start.rawValue,
            (try? reader.text()) == title
        else { return nil }
        return try? reader.unsigned()
    }
}

extension CBORReader {
    fileprivate mutating func oid() throws(Malformed) -> OID { OID(rawValue: try unsigned()) }
}
