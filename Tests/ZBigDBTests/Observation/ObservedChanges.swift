import Foundation

@testable import ZBigDB

/// The first changes of a sequence, up to one of `last`.
func take(through last: TID, _ changes: CommittedChanges) async throws -> [CommittedChange] {
    var found: [CommittedChange] = []
    for try await change in changes {
        found.append(change)
        if change.tid >= last { break }
    }
    return found
}

/// The transactions after `tid`, as the log has them.
func logged(_ database: Database, after tid: TID) throws -> [TID] {
    try database.transactions(limit: 10_000).map(\.tid).filter { $0 > tid }.reversed()
}
