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
        writer.text(type(of: object).className)
    }
}

/// Reads references: the connection's instance of the object.
struct ReferenceDecoder {
    let connection: Connection

    func decode(_ reader: inout CBORReader) throws -> PersistentObject {
        guard try reader.tag() == ReferenceEncoder.tag, try reader.array() == 2 else {
            throw CBORReader.Malformed(description: "a reference was expected")
        }
        let oid = OID(rawValue: try reader.unsigned())
        return try connection.instance(oid, className: try reader.text())
    }
}

/// Gathers what a connection commits.
struct CommitBuilder {
    let connection: Connection
    var writes: [RecordWrite] = []

    func oid(of object: PersistentObject) throws -> OID { try connection.adopt(object) }

    /// An object's record: its class, the version of its form, its state.
    func record(of object: PersistentObject) throws -> [UInt8] {
        var writer = CBORWriter()
        writer.array(3)
        writer.text(type(of: object).className)
        writer.unsigned(type(of: object).stateVersion)
        try object.encodeState(&writer, ReferenceEncoder(connection: connection))
        return writer.bytes
    }
}
