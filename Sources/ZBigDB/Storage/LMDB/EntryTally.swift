/// Counts the entries of each object while all records go by in their order, and compares with the number that is
/// stored of them.
struct EntryTally {
    private var oid = OID.root
    private var last: RecordKey?
    private var stored = 0
    private var found = 0
    private var hasState = false

    /// A record; returns what is wrong with the object before.
    mutating func add(_ key: RecordKey, _ value: RecordValue) -> VerifyProblem? {
        let problem = key.oid == oid ? nil : finish()
        oid = key.oid
        // The newest version comes first.
        if key == last { return problem }
        last = key
        if key.subkey.isEmpty {
            hasState = value != .removed
        } else if key.subkey == RecordKey.countSubkey {
            stored = EntryCount.decode(value) ?? 0
        } else if key.isEntry, value != .removed {
            found += 1
        }
        return problem
    }

    /// No more records of the object.
    mutating func finish() -> VerifyProblem? {
        defer { (last, stored, found, hasState) = (nil, 0, 0, false) }
        // Of an object without a state packing has taken a part, and will take the rest.
        if !hasState || stored == found { return nil }
        return VerifyProblem(oid: oid, "it is said to have \(stored) entries, and has \(found)")
    }
}
