@testable import ZBigDB

/// Changes two connections' objects in transactions that begin together, and commits one after the other.
/// Returns what the second one met.
func conflictOfCommits(
    of first: Connection, _ firstChange: () throws -> Void,
    of second: Connection, _ secondChange: () throws -> Void
) throws -> ConflictError? {
    try first.begin()
    try second.begin()
    try firstChange()
    try secondChange()
    try first.commit()
    defer { try? second.abort() }
    do {
        try second.commit()
        return nil
    } catch let error as ConflictError {
        return error
    }
}
