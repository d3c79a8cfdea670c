extension LMDBStorage {
    /// Runs `body` with the commit lock in a transaction that writes, and commits it. When the map is full it
    /// grows and `body` runs again from the start.
    func writeAlone<R>(for id: TransactionID? = nil, _ body: (LMDBTransaction) throws -> R) throws -> R {
        try environment.makeRoom(1 << 20)
        try commitLock.acquire(for: id)
        defer { commitLock.release() }
        CommitProbe.reach(.voting)
        while true {
            do {
                let write = try LMDBWrite(environment)
                defer { write.abort() }
                let result = try unsafe body(write.transaction)
                CommitProbe.reach(.recordsWritten)
                try write.commit()
                CommitProbe.reach(.finished)
                return result
            } catch WriteFailure.mapFull {
                try environment.grow()
            } catch let failure as WriteFailure {
                throw environment.final(failure)
            }
        }
    }

    /// Runs `body` in a transaction that writes, and commits it unless `body` returns false.
    ///
    /// - Parameter what: what `body` reads, for the error if that is damaged.
    func writeOnce(
        _ what: String, room: Int, _ survival: CommitSurvival = .flushed,
        _ body: (LMDBTransaction) throws -> Bool
    ) throws(StorageError) {
        try environment.makeRoom(room)
        do {
            let write = try LMDBWrite(environment)
            defer { write.abort() }
            if try unsafe body(write.transaction) { try write.commit(survival) }
        } catch let failure as WriteFailure {
            throw environment.final(failure)
        } catch let error as StorageError {
            throw error
        } catch {
            throw .corrupt(path: path, what: "\(what): \(error)")
        }
    }
}
