/// Finds the references in stored states without making values of them: also in those of classes that nobody here knows.
enum ReferenceScanner {
    /// Calls `body` with the number of each object that a state, or an entry's value, refers to.
    ///
    /// CBOR's items follow each other however they are nested, so their heads are all there is to look at.
    static func scan(_ bytes: UnsafeRawBufferPointer, _ body: (OID) -> Void) throws(ByteReader.Malformed) {
        var heads = unsafe Heads(bytes)
        while let (_, oid) = try heads.nextReference() { body(oid) }
    }

    static func scan(_ bytes: [UInt8], _ body: (OID) -> Void) throws(ByteReader.Malformed) {
        try unsafe bytes.withRawBytes { bytes throws(ByteReader.Malformed) in try unsafe scan(bytes, body) }
    }

    /// The same state with other numbers in its references.
    ///
    /// - Throws: ``ByteReader/Malformed``, and what `number` throws.
    static func replacing(_ bytes: [UInt8], _ number: (OID) throws -> OID) throws -> [UInt8] {
        var replaced: [(Range<Int>, OID)] = []
        try unsafe bytes.withUnsafeBytes { bytes in
            var heads = unsafe Heads(bytes)
            while let (place, oid) = try heads.nextReference() { replaced.append((place, try number(oid))) }
        }
        if replaced.isEmpty { return bytes }
        var writer = CBORWriter()
        var copied = 0
        for (place, oid) in replaced {
            writer.raw(bytes[copied..<place.lowerBound])
            writer.unsigned(oid.rawValue)
            copied = place.upperBound
        }
        writer.raw(bytes[copied...])
        return writer.bytes
    }

    /// The heads of all items, one after the other.
    @safe
    private struct Heads {
        private let bytes: UnsafeRawBufferPointer
        private var position = 0

        init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

        /// The number in the next reference, and where it is; nil at the end.
        mutating func nextReference() throws(ByteReader.Malformed) -> (Range<Int>, OID)? {
            while let (major, argument) = try next() {
                guard major == .tag, argument == ReferenceEncoder.tag else { continue }
                let place = position
                if let (list, count) = try next(), list == .array, count == 2 {
                    let start = position
                    if let (kind, oid) = try next(), kind == .unsigned, let oid {
                        return (start..<position, OID(rawValue: oid))
                    }
                }
                // The tag around something else.
                position = place
            }
            return nil
        }

        /// The next head, with its argument if it has one; nil at the end.
        mutating func next() throws(ByteReader.Malformed) -> (CBORWriter.Major, UInt64?)? {
            guard unsafe position < bytes.count else { return nil }
            let initial = unsafe bytes[position]
            guard let major = CBORWriter.Major(rawValue: initial >> 5) else { throw ByteReader.Malformed() }
            position += 1
            let low = initial & 0x1f
            var argument = UInt64(low)
            switch low {
            case 0..<24: break
            case 24...27:
                let size = 1 << Int(low - 24)
                guard unsafe bytes.count - position >= size else { throw ByteReader.Malformed() }
                argument = 0
                for index in 0..<size { argument = unsafe argument << 8 | UInt64(bytes[position + index]) }
                position += size
            // An open length, or the break at its end.
            case 31: return (major, nil)
            default: throw ByteReader.Malformed()
            }
            if major == .bytes || major == .text {
                guard unsafe argument <= UInt64(bytes.count - position) else { throw ByteReader.Malformed() }
                position += Int(argument)
            }
            return (major, argument)
        }
    }
}
