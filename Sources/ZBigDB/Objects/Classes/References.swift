/// Writes references to other objects: CBOR tag 39 (identifier) around the
/// number and the class, so that a ghost can be made without loading.
struct ReferenceEncoder {
    static let tag: UInt64 = 39
    let connection: Connection

    func encode(_ object: PersistentObject, into writer: inout CBORWriter) throws {
        let oid = try connection.adopt(object)
        writer.tag(Self.tag)
        writer.array(2)
        writer.unsigned(oid.rawValue)
        writer.text(object.recordClassName)
    }
}

/// Reads references: the connection's instance of the object.
struct ReferenceDecoder {
    let connection: Connection

    /// - Parameter type: the class that is expected there, which need not be registered then.
    func decode(_ reader: inout CBORReader, as type: PersistentObject.Type? = nil) throws -> PersistentObject
    {
        guard try reader.tag() == ReferenceEncoder.tag, try reader.array() == 2 else {
            throw CBORReader.Malformed(description: "a reference was expected")
        }
        let oid = OID(rawValue: try reader.unsigned())
        let object = try connection.instance(oid, className: try reader.text(), expecting: type)
        if object.isSticky { try object.activate() }
        return object
    }
}

/// Gathers what a connection commits.
struct CommitBuilder {
    let connection: Connection
    var writes = RecordWrites()
    var blockWrites: [BlockWrite] = []
    var blockEdges: [BlockEdge] = []
    /// The objects whose own state is among the writes.
    var written: [PersistentObject] = []
    private var encoder: StateEncoder

    init(connection: Connection) {
        self.connection = connection
        encoder = StateEncoder(connection: connection)
    }

    func oid(of object: PersistentObject) throws -> OID { try connection.adopt(object) }

    /// Adds the record of an object's own state.
    mutating func writeState(of object: PersistentObject) throws {
        // What has a number and is written belongs to this connection.
        let oid = try object.oid ?? oid(of: object)
        try encode { try object.encodeRecord(&$0) }
        writes.append(stateOf: oid, encoder.writer.bytes, base: object.storedVersion)
        written.append(object)
    }

    /// An object's record: its class, the version of its form, its state.
    mutating func record(of object: PersistentObject) throws -> [UInt8] {
        try bytes { try object.encodeRecord(&$0) }
    }

    /// What `body` encodes. The buffer is used again and again.
    mutating func bytes(_ body: (inout StateEncoder) throws -> Void) throws -> [UInt8] {
        try encode(body)
        // A copy of exactly the right size.
        return Array(encoder.writer.bytes[...])
    }

    private mutating func encode(_ body: (inout StateEncoder) throws -> Void) throws {
        encoder.writer.bytes.removeAll(keepingCapacity: true)
        try body(&encoder)
    }
}
