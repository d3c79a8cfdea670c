internal import Synchronization

extension ArrayBackend {
    /// What a transaction has made of the blocks so far, all of it stored ahead.
    struct Mark {
        fileprivate var droppedFrom: Int?
        fileprivate var cutFrom: Int?
        fileprivate var stored: [Int: Stored] = [:]
    }

    func mark() -> Mark {
        state.withLock { Mark(droppedFrom: $0.droppedFrom, cutFrom: $0.cutFrom, stored: $0.stored) }
    }

    /// Goes back to a mark. Returns the blocks that are something else now, and the one from which on all may be.
    ///
    /// What was stored since stays where it is until the transaction ends, and nobody names it.
    func restore(_ mark: Mark) -> (changed: [Int], from: Int?) {
        state.withLock { state in
            let numbers = Set(state.stored.keys).union(mark.stored.keys)
            let changed = numbers.filter { state.stored[$0] != mark.stored[$0] }
            let from =
                state.droppedFrom == mark.droppedFrom
                ? nil : min(state.droppedFrom ?? .max, mark.droppedFrom ?? .max)
            (state.stored, state.droppedFrom, state.cutFrom) = (mark.stored, mark.droppedFrom, mark.cutFrom)
            return (Array(changed), from)
        }
    }
}
