internal import Logging
internal import Synchronization

/// Idle connections, for `read` and `write` (behaviour H20).
///
/// The one that was used last, which has the most objects in memory, is used first. An idle
/// connection holds no snapshot, so it does not keep the file from reusing space.
final class ConnectionPool: Sendable {
    /// An idle connection. Nobody else has it, so it may be handed from thread to thread.
    private struct Idle: @unchecked Sendable {
        let connection: Connection
        let since: ContinuousClock.Instant
    }

    private struct State {
        var idle: [Idle] = []
        var leased = 0
    }

    private let limit: Int
    private let timeout: Duration
    private let path: String
    private let state = Mutex(State())

    init(limit: Int, timeout: Duration, path: String) {
        self.limit = limit
        self.timeout = timeout
        self.path = path
    }

    /// How many connections wait to be used.
    var idleCount: Int { state.withLock { $0.idle.count } }

    /// An idle connection, or a new one.
    func lease(for database: Database) throws -> Connection {
        let (idle, leased) = state.withLock { state in
            state.leased += 1
            return (state.idle.popLast(), state.leased)
        }
        if leased > 2 * limit {
            Log.storage.critical(
                "\(path): \(leased) connections are in use at once, twice the pool's \(limit)")
        } else if leased > limit {
            Log.storage.warning(
                "\(path): \(leased) connections are in use at once, more than the pool's \(limit)")
        }
        do {
            guard let idle else { return try database.connect() }
            do {
                try idle.connection.unpark(in: database)
            } catch {
                idle.connection.closeParked()
                throw error
            }
            return idle.connection
        } catch {
            state.withLock { $0.leased -= 1 }
            throw error
        }
    }

    /// Takes a connection back. It must have no changes.
    func giveBack(_ connection: Connection) {
        let isUsable = (try? connection.park()) != nil
        let now = ContinuousClock.now
        let entry = Idle(connection: connection, since: now)
        let surplus = state.withLock { state -> [Idle] in
            state.leased -= 1
            if isUsable { state.idle.append(entry) }
            var surplus = Array(state.idle.prefix(max(0, state.idle.count - limit)))
            state.idle.removeFirst(surplus.count)
            let old = state.idle.prefix { now - $0.since > timeout }
            surplus += old
            state.idle.removeFirst(old.count)
            return isUsable ? surplus : surplus + [entry]
        }
        for idle in surplus { idle.connection.closeParked() }
    }

    /// Closes all idle connections.
    func drain() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for entry in idle { entry.connection.closeParked() }
    }
}
