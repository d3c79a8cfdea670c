// Changes that leave memory before the transaction ends.

extension FileHandle {
    /// Spills every dirty block now, whatever the budget: afterwards each is clean,
    /// and shows what the backend took.
    ///
    /// - Throws: ``VirtMemError/spillFailed(file:block:cause:)``, with which blocks not
    ///   spilled yet stay dirty; ``VirtMemError/accessInProgress(file:action:)`` if some are in a
    ///   scoped access, and ``VirtMemError/writeoutInProgress(file:action:)`` during a
    ///   writeout and between STORE and MARKSTORED.
    /// - Complexity: O(dirty blocks).
    public func spillAll() throws(VirtMemError) {
        try engine.refuseInChild(name)
        try engine.spillAll(id, name)
    }

    /// Ends spilling until the changes are marked stored or discarded: what is changed now
    /// goes to the writeouts to come. Waits for the end of a spill under way.
    ///
    /// Where several handles are written out together, call it for all of them first: from then on
    /// what the backends hand over does not change behind the client's back.
    public func endSpilling() throws(VirtMemError) {
        try engine.refuseInChild(name)
        try engine.lockedBetweenSpills(id, name, to: "end spilling") { state, handle throws(VirtMemError) in
            try state.refuseDuringWriteout(handle, "end spilling")
            handle.hasStored = true
        }
    }
}

extension Engine {
    /// Runs `body` under V at a time when no block of the handle is being spilled,
    /// for what takes dirty blocks away or turns them clean.
    ///
    /// The backend that spills is refused, rather than left waiting for itself.
    func lockedBetweenSpills<R: Sendable>(
        _ id: UInt32, _ name: String, to action: String,
        _ body: (inout EngineState, HandleState) throws(VirtMemError) -> R
    ) throws(VirtMemError) -> R {
        var hasWaited = false
        while true {
            let turn = try locked { state throws(VirtMemError) -> (R?, Event?) in
                let handle = try state.handle(id, name)
                if hasWaited { handle.dueAfterSpill -= 1 }
                guard let spiller = handle.spiller else { return (try body(&state, handle), nil) }
                if spiller == currentThread() { throw .writeoutInProgress(file: name, action: action) }
                let event = Event()
                handle.spillWaiters.append(event)
                return (nil, event)
            }
            if let result = turn.0 { return result }
            turn.1?.wait()
            hasWaited = true
        }
    }
}

extension EngineState {
    /// What was stored and not marked yet is not the engine's to spill.
    func refuseToSpill(_ handle: HandleState) throws(VirtMemError) {
        if handle.isWritingOut || handle.hasStored {
            throw .writeoutInProgress(file: handle.name, action: "spill")
        }
    }
}
