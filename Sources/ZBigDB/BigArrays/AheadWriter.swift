internal import Synchronization

/// The block writer of a connection's transaction, made when blocks are first
/// stored ahead of the commit: because memory is short, or for a savepoint.
final class AheadWriter: Sendable {
    private struct State {
        var storage: (any RecordStorage)?
        var writer: (any BlockWriter)?
    }

    private let state: Mutex<State>

    init(_ storage: any RecordStorage) { state = Mutex(State(storage: storage)) }

    /// The writer, made if there is none yet.
    func current(for what: String) throws -> any BlockWriter {
        try state.withLock { state in
            if let writer = state.writer { return writer }
            guard let storage = state.storage else { throw DatabaseError.connectionClosed(what: what) }
            let writer = storage.makeBlockWriter(isAhead: true)
            state.writer = writer
            return writer
        }
    }

    /// The writer, if blocks were stored ahead; the next one will be another.
    func take() -> (any BlockWriter)? { state.withLock { $0.writer.take() } }

    /// No more writers. Lets go of the file.
    func close() { state.withLock { $0 = State() } }
}
