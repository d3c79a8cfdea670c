/// Stands for an object whose class this program does not have (behaviour H48).
///
/// It keeps the stored state as it is: it can be referred to, loaded and looked at, and not be changed.
public final class UnknownObject: PersistentObject {
    /// The name its class is stored under.
    public let storedClassName: String
    override var recordClassName: String { storedClassName }

    /// Its record, as stored.
    private(set) var record: [UInt8] = []

    init(_ oid: OID, className: String) {
        storedClassName = className
        super.init(ghost: oid)
    }

    override func encodeRecord(_ encoder: inout StateEncoder) throws { encoder.writer.raw(record) }

    override func decodeRecord(_ decoder: inout StateDecoder) throws {
        let start = decoder.reader.position
        record = Array(try decoder.reader.skip())
        decoder.reader.position = start
        guard try RecordHead(&decoder.reader).className == storedClassName else {
            throw CBORReader.Malformed(description: "the class is not \"\(storedClassName)\"")
        }
    }

    override func didBecomeGhost() { record = [] }
}
