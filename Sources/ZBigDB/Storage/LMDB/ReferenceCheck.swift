/// Checks that what objects and entries refer to is there (behaviour H43).
struct ReferenceCheck: ~Copyable {
    private let cursor: LMDBCursor
    private var present = OIDSet()
    private var problems: [VerifyProblem] = []

    init(_ records: consuming LMDBCursor) { cursor = records }

    /// Looks at the references in the newest version of a record.
    mutating func check(_ key: RecordKey, _ state: [UInt8]) throws(StorageError) {
        // Counts of entries refer to nothing.
        guard key.subkey.isEmpty || key.isEntry else { return }
        var found: [OID] = []
        do throws(ByteReader.Malformed) {
            try ReferenceScanner.scan(state) { found.append($0) }
        } catch {
            problems.append(VerifyProblem(oid: key.oid, "the references in \(key.part) cannot be read"))
            return
        }
        for oid in found where !present.contains(oid) {
            if let fault = try fault(of: oid) {
                problems.append(
                    VerifyProblem(oid: key.oid, "\(key.part) refers to object \(oid), which \(fault)"))
            } else {
                _ = present.insert(oid)
            }
        }
    }

    /// Why an object cannot be referred to; nil if it can. One that cannot be read is a problem of its own.
    private func fault(of oid: OID) throws(StorageError) -> String? {
        guard let entry = unsafe try cursor.seek(RecordKey(oid).encoded(.largest)),
            let (key, _) = unsafe RecordKey.decode(entry.key), key == RecordKey(oid)
        else { return "is missing" }
        return unsafe RecordValue.isRemoval(entry.value) ? "was removed" : nil
    }

    /// What is wrong. What nothing leads to is about to be packed away, one after the other.
    consuming func finish(_ storage: LMDBStorage, _ transaction: LMDBTransaction) -> [VerifyProblem] {
        if problems.isEmpty { return [] }
        var marker = LMDBMarker(storage, .newest, since: .largest)
        do throws(StorageError) {
            while !marker.isDone { _ = try unsafe marker.step(transaction, limit: .max) }
        } catch {
            // Not all that leads anywhere can be read: then everything may be in use.
            return problems
        }
        return problems.filter { problem in problem.oid.map { marker.reached.contains($0) } ?? true }
    }
}
