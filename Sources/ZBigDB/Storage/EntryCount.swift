/// The number of an object's entries, as the storage keeps it: a CBOR integer in a record of its own,
/// written by every commit that changes it, so that counting needs no look at the entries and
/// transactions that add different entries do not conflict.
enum EntryCount {
    static func value(_ count: Int) -> RecordValue {
        var writer = CBORWriter()
        writer.integer(max(0, count))
        return .state(writer.bytes)
    }

    static func decode(_ value: RecordValue) -> Int? {
        guard case .state(let bytes) = value else { return nil }
        var reader = CBORReader(bytes)
        return try? reader.integer()
    }

    /// From a stored value.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        unsafe RecordValue.state(in: bytes).flatMap { decode(.state($0)) }
    }
}
