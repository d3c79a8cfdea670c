internal import Synchronization

/// The snapshot a connection looks through now. Arrays hold on to the box, so
/// that a fault on any thread finds the snapshot of the moment, and keeps it
/// open for as long as it takes.
final class SnapshotBox: Sendable {
    private let snapshot: Mutex<(any StorageSnapshot)?>

    init(_ snapshot: any StorageSnapshot) { self.snapshot = Mutex(snapshot) }

    func current(for what: @autoclosure () -> String) throws -> any StorageSnapshot {
        guard let current = snapshot.withLock({ $0 }) else {
            throw DatabaseError.connectionClosed(what: what())
        }
        return current
    }

    /// Puts another snapshot in its place; returns the one before.
    @discardableResult
    func replace(with new: (any StorageSnapshot)?) -> (any StorageSnapshot)? {
        snapshot.withLock { current in
            defer { current = new }
            return current
        }
    }
}
