internal import CLMDB

// Vote and finish in one, for transactions in which nobody else takes part. Those that are ready at the
// same time become one LMDB transaction and one write to the journal. To everybody else they are
// transactions like any others: one after the other, each with a tid and an entry of its own.

extension LMDBStorage {
    func commit(_ request: CommitRequest, resolve: ConflictResolution) throws -> TID? {
        let (writer, contents) = try contents(of: request)
        let member = CommitQueue.Member(request, contents)
        let tid =
            switch commitQueue.join(member) {
            case .done(let result): try result.get()
            case .lead, .alone: try lead(member, resolve)
            }
        // It changes nothing, so nobody needs what was stored for it.
        if tid == nil { writer.discard() }
        return tid
    }

    /// Commits a transaction, and those that wait for theirs along with it.
    private func lead(_ leader: CommitQueue.Member, _ resolve: ConflictResolution) throws -> TID? {
        commitQueue.letOthersJoin()
        do throws(StorageError) {
            try commitLock.acquire(for: leader.request.id)
        } catch {
            commitQueue.pass()
            commitQueue.end()
            throw error
        }
        let members = commitQueue.members(with: leader)
        CommitProbe.reach(.voting)
        let ticket = flip(members, leader, resolve)
        commitLock.release()
        commitQueue.pass()

        if let ticket {
            CommitProbe.reach(.appended)
            do throws(StorageError) {
                try environment.journal.wait(for: ticket, environment)
            } catch {
                for member in members where member.isCommitted { member.decide(.done(.failure(error))) }
            }
        }
        let isAnyCommitted = members.contains(where: \.isCommitted)
        for member in members where member !== leader { member.wakeUp() }
        commitQueue.end()
        guard case .done(let result) = leader.decision else {
            throw StorageError.protocolViolation("a commit without an end")
        }
        if isAnyCommitted {
            noteCommit()
            tidy()
        }
        return try result.get()
    }

    /// Something is wrong with one of several transactions.
    private struct Refusal: Error {
        let member: CommitQueue.Member
        let cause: any Error
    }

    /// Decides about all members. Returns the place in the journal that has to be on the disk before
    /// anybody hears of it. C is held.
    private func flip(
        _ members: [CommitQueue.Member], _ leader: CommitQueue.Member, _ resolve: ConflictResolution
    ) -> LMDBJournal.Ticket? {
        var members = members
        while let first = members.first {
            do {
                return try flipTogether(members, leader, resolve)
            } catch WriteFailure.mapFull where members.count > 1 {
                // What does not fit together may fit one by one.
                for other in members.dropFirst() { other.decide(.alone) }
                members = [first]
            } catch let refusal as Refusal {
                refusal.member.decide(.done(.failure(refusal.cause)))
                members.removeAll { $0 === refusal.member }
            } catch {
                // It may have happened all the same, so nobody tries again.
                for member in members { member.decide(.done(.failure(final(error)))) }
                members = []
            }
        }
        return nil
    }

    private func flipTogether(
        _ members: [CommitQueue.Member], _ leader: CommitQueue.Member, _ resolve: ConflictResolution
    ) throws -> LMDBJournal.Ticket? {
        let write = try LMDBWrite(environment)
        defer { write.abort() }
        let transaction = unsafe write.transaction
        var written: [(member: CommitQueue.Member, commit: CheckedChanges)] = []
        for member in members {
            // Only the thread of a transaction may run code of its classes; the others wait.
            var isAsked = false
            do {
                let checked = try unsafe check(member.request, member.contents, transaction) {
                    write, theirs in
                    if member === leader { return resolve(write, theirs) }
                    isAsked = isAsked || write.key.subkey.isEmpty
                    return nil
                }
                if checked.stage.writes.isEmpty {
                    // Nothing but readings: they hold until the end, and nothing is written (H4).
                    member.decide(.done(.success(nil)))
                    continue
                }
                try unsafe apply(checked.stage, checked.tid, transaction)
                try unsafe forgetPending(member.contents.written, transaction)
                written.append((member, checked))
            } catch let conflict as ConflictError where !member.storesBlocks {
                // Found before anything was written.
                member.decide(isAsked ? .alone : .done(.failure(conflict)))
            } catch WriteFailure.mapFull {
                throw WriteFailure.mapFull
            } catch {
                throw Refusal(member: member, cause: final(error))
            }
        }
        if written.isEmpty { return nil }
        let dropped = try unsafe dropSomeGarbage(transaction)
        CommitProbe.reach(.recordsWritten)
        let entries = try unsafe journalEntries(written.map(\.commit), transaction)
        CommitProbe.reach(.voted)
        CommitProbe.reach(.finishing)
        try write.commit(entries == nil ? .flushed : .journaled)
        for (member, commit) in written { member.decide(.done(.success(commit.tid))) }
        let ticket = entries.flatMap { environment.journal.append($0) }
        CommitProbe.reach(.finished)
        forgetGarbage(dropped)
        return ticket
    }

    private func final(_ error: any Error) -> any Error {
        (error as? WriteFailure).map { environment.final($0) } ?? error
    }
}

extension CommitQueue.Member {
    fileprivate var isCommitted: Bool {
        if case .done(.success(.some)) = decision { true } else { false }
    }
}
