/// Finds the references in stored states without making values of them: also in those of classes that nobody here knows.
enum ReferenceScanner {
    /// Calls `body` with the number of each object that a state, or an entry's value, refers to.
    ///
    /// CBOR's items follow each other however they are nested, so their heads are all there is to look at.
    static func scan(_ bytes: UnsafeRawBufferPointer, _ body: (OID) -> Void) throws(ByteReader.Malformed) {
        var heads = unsafe Heads(bytes)
        while let (major, argument) = try heads.next() {
            guard major == .tag, argument == ReferenceEncoder.tag else { continue }
            let place = heads.position
            guard let (list, count) = try heads.next(), list == .array, count == 2,
                let (kind, oid) = try heads.next(), kind == .unsigned, let oid
            else {
                // The tag around something else.
                heads.position = place
                continue
            }
            body(OID(rawValue: oid))
        }
    }

    /// The heads of all items, one after the other.
    @safe
    private struct Heads {
        private let bytes: UnsafeRawBufferPointer
        var position = 0

        init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

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
