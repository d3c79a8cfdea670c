internal import VirtMem

// Transaction boundaries: where what others committed becomes visible, and
// nowhere else (behaviour E26).

extension Connection: Synchronizer {
    /// Array memory may have been changed without a call: joins late if so.
    public func beforeCompletion(_ transaction: Transaction) throws {
        try joinForArrays(transaction)
    }

    /// The same for a savepoint.
    public func beforeSavepoint(_ transaction: Transaction) throws { try joinForArrays(transaction) }

    private func joinForArrays(_ transaction: Transaction) throws {
        guard !commit.isJoined, deferredFailure != nil || openFiles.values.contains(where: \.isDirty) else {
            return
        }
        // After a failed commit joining is refused; the abort discards all the same.
        if transaction.status == .commitFailed { return }
        try transaction.join(self)
        commit.isJoined = true
    }

    /// Drops what an ended transaction left, and moves to the newest snapshot.
    public func afterCompletion(_ transaction: Transaction) throws {
        let own = commit.committedTID
        commit = CommitState()
        if transaction.status != .committed {
            try discardMemory()
            // Changes made after a failed commit belonged to nobody.
            _ = try dropUnregistered()
        }
        do {
            if !transactionManager.isExplicit || own != nil { try moveSnapshot(own: own) }
        } catch {
            guard let own else { throw error }
            throw DatabaseError.committedButNotMoved(path: path, tid: own, cause: error)
        }
        dropUnusedFiles()
    }

    /// Moves to the newest snapshot. Array memory changed since the last boundary, without
    /// a call that began a transaction, belonged to one that ends here (behaviour G26).
    public func newTransaction(_ transaction: Transaction) throws {
        try discardMemory()
        let failure = try dropUnregistered()
        try moveSnapshot(own: nil)
        if let failure { throw failure }
    }

    /// Drops changes of array memory, and then what was stored of them ahead.
    private func discardMemory() throws {
        defer { ahead.take()?.discard() }
        for file in openFiles.values { try file.discard() }
    }

    /// Takes back changes of objects that could not be registered; returns why they could not.
    private func dropUnregistered() throws -> (any Error)? {
        guard !commit.isJoined, !changed.isEmpty else { return nil }
        let (changed, added, failure) = (self.changed, self.added, deferredFailure)
        (self.changed, self.added, deferredFailure) = ([], [], nil)
        try revert(changed: changed, added: added)
        return failure
    }

    /// The order matters: the new snapshot is opened, loads go to it, what
    /// changed is invalidated, and only then the old one is let go.
    private func moveSnapshot(own: TID?) throws {
        // The past stays what it is.
        if isClosed || moment != nil { return }
        let old = try snapshot
        let new = try storage.openSnapshot()
        let changes = try new.changes(since: old.tid, excluding: own)
        box.replace(with: new)
        try withExtendedLifetime(old) {
            var lost: [OID] = []
            for (oid, file) in openFiles {
                try file.rebase()
                if let changes {
                    guard let blocks = changes.objects[oid]?.blocks, !blocks.isEmpty else { continue }
                    if try file.invalidate(blocks) { lost.append(oid) }
                } else if try file.invalidateAll() {
                    lost.append(oid)
                }
            }
            // Blocks written to during the commit are not mapped anew: pages not written show what they did.
            box.keep(old, if: openFiles.values.contains(where: \.isDirty))
            try refreshObjects(changes)
            if let oid = lost.first {
                throw ConflictError(
                    oid: oid, className: ZBigFile.className, part: "blocks changed during the commit before",
                    base: old.tid, current: new.tid)
            }
        }
    }

    /// Objects that changed elsewhere become ghosts; those that must be readable
    /// at any time are loaded again at once.
    func refreshObjects(_ changes: ChangeSet?) throws {
        try noteRemoved(changes)
        let oids = changes.map { $0.objects.filter { $0.value.state }.map(\.key) } ?? instances.oids
        for oid in oids {
            guard let object = known(oid), object.objectStatus == .saved, object.storedVersion != nil else {
                continue
            }
            object.objectStatus = .ghost
            guard object.isSticky else { continue }
            do {
                try load(object)
            } catch DatabaseError.missingObject {
                // Removed elsewhere: the next use says so.
            }
        }
    }

    /// What was removed must not be referred to again.
    private func noteRemoved(_ changes: ChangeSet?) throws {
        if let changes {
            for oid in changes.removed { known(oid)?.isRemoved = true }
            return
        }
        for oid in instances.oids {
            guard let object = known(oid), try snapshot.record(RecordKey(oid)) == nil else { continue }
            object.isRemoved = true
        }
    }

    /// Closes the handles of array files that nobody holds any more (behaviour E44).
    private func dropUnusedFiles() {
        for oid in Array(openFiles.keys) {
            guard var file = openFiles.removeValue(forKey: oid) else { continue }
            if isKnownUniquelyReferenced(&file), !file.isDirty {
                file.closeHandle()
            } else {
                openFiles[oid] = file
            }
        }
    }
}
