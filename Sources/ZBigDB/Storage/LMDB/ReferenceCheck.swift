/// Checks that what objects and entries refer to is there (behaviour H43).
struct ReferenceCheck: ~Copyable {
    private let cursor: LMDBCursor
    private var present = OIDSet()

    init(_ records: consuming LMDBCursor) { cursor = records }

    /// What is wrong with the references in the newest version of a record.
    mutating func problems(of key: RecordKey, _ state: [UInt8]) throws(StorageError) -> [VerifyProblem] {
        // Counts of entries are no CBOR.
        guard key.subkey.isEmpty || key.isEntry else { return [] }
        var found: [OID] = []
        do throws(ByteReader.Malformed) {
            try ReferenceScanner.scan(state) { found.append($0) }
        } catch {
            return [VerifyProblem(oid: key.oid, "the references in \(key.part) cannot be read")]
        }
        var problems: [VerifyProblem] = []
        for oid in found where !present.contains(oid) {
            if let fault = try fault(of: oid) {
                problems.append(
                    VerifyProblem(oid: key.oid, "\(key.part) refers to object \(oid), which \(fault)"))
            } else {
                _ = present.insert(oid)
            }
        }
        return problems
    }

    /// Why an object cannot be referred to; nil if it can. One that cannot be read is a problem of its own.
    private func fault(of oid: OID) throws(StorageError) -> String? {
        guard let entry = unsafe try cursor.seek(RecordKey(oid).encoded(.largest)),
            let (key, _) = unsafe RecordKey.decode(entry.key), key == RecordKey(oid)
        else { return "is missing" }
        return unsafe RecordValue.isRemoval(entry.value) ? "was removed" : nil
    }
}
