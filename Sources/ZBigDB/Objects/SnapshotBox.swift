internal import Synchronization

/// The snapshot a connection looks through now. Arrays hold on to the box, so
/// that a fault on any thread finds the snapshot of the moment, and keeps it
/// open for as long as it takes.
final class SnapshotBox: Sendable {
    private struct State {
        var current: (any StorageSnapshot)?
        var outlived: (any StorageSnapshot)?
    }

    private let state: Mutex<State>

    init(_ snapshot: any StorageSnapshot) { state = Mutex(State(current: snapshot)) }

    func current(for what: @autoclosure () -> String) throws -> any StorageSnapshot {
        guard let current = state.withLock({ $0.current }) else {
            throw DatabaseError.connectionClosed(what: what())
        }
        return current
    }

    /// Puts another snapshot in its place; nil lets go of all.
    func replace(with new: (any StorageSnapshot)?) {
        state.withLock { state in
            state.current = new
            if new == nil { state.outlived = nil }
        }
    }

    /// Whether some memory still shows what `old` pins. What an older one pins is pinned until there is none.
    func keep(_ old: any StorageSnapshot, if isShown: Bool) {
        state.withLock { state in state.outlived = isShown ? state.outlived ?? old : nil }
    }
}
