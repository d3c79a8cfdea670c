internal import CLMDB

// Transactions that said yes durably: what became of them, and deciding them.

extension LMDBStorage {
    func outcome(of id: TransactionID) throws(StorageError) -> TransactionOutcome {
        let format = self.format
        return unsafe try environment.read { transaction throws(StorageError) in
            if let value = unsafe try transaction.get(format.outcomes, id.bytes), value.count == 8 {
                return unsafe .committed(
                    TID(rawValue: UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))))
            }
            return unsafe try transaction.get(format.prepared, id.bytes) != nil ? .inDoubt : .aborted
        }
    }

    func inDoubt() throws(StorageError) -> [TransactionID] {
        // With C held, no prepared transaction can belong to a process at work. A file
        // opened for reading cannot be locked: there, one at work may be among them.
        if !isReadOnly { try commitLock.acquire() }
        defer { if !isReadOnly { commitLock.release() } }
        let format = self.format
        return unsafe try environment.read { transaction throws(StorageError) in
            var found: [TransactionID] = []
            let cursor = try unsafe transaction.cursor(format.prepared)
            var entry = unsafe try cursor.first()
            while let at = unsafe entry {
                if let id = unsafe TransactionID(bytes: at.key) { found.append(id) }
                unsafe entry = try cursor.next()
            }
            return found
        }
    }

    func resolve(_ id: TransactionID, commit: Bool) throws {
        if isReadOnly { throw StorageError.readOnly(path: path) }
        try commitLock.acquire()
        defer { commitLock.release() }
        try decide(id, tid: nil, commit: commit)
    }

    /// Commits or drops a prepared transaction. C is held.
    func decide(_ id: TransactionID, tid: TID?, commit: Bool) throws(StorageError) {
        try unsafe writeOnce("the prepared transaction \(id)", room: 1 << 20) { transaction in
            guard let value = unsafe try transaction.get(format.prepared, id.bytes) else { return false }
            let stage = try unsafe self.stage(id.bytes, Array(value))
            try unsafe transaction.delete(format.prepared, id.bytes)
            if commit {
                let tid = try unsafe tid ?? nextTID(transaction)
                try unsafe apply(stage, tid, transaction)
                try unsafe transaction.setCounter(format.outcomes, id.bytes, tid.rawValue)
            } else {
                try unsafe dropStaged(stage, transaction)
            }
            return true
        }
    }

    /// Drops the block records that only a staged commit names.
    private func dropStaged(_ stage: Stage, _ transaction: LMDBTransaction) throws {
        let cursor = try unsafe transaction.cursor(format.records)
        for write in stage.writes {
            guard let recipe = write.value?.recipe else { continue }
            let current = try unsafe self.recipe(newest(write.key, cursor), write.key)
            for id in recipe.blocks.subtracting(current.blocks) { try unsafe release(id, transaction) }
        }
    }

    func stage(_ id: [UInt8], _ bytes: [UInt8]) throws -> Stage {
        guard let id = TransactionID(bytes: id), let stage = try? Stage(id, decoding: bytes) else {
            throw StorageError.corrupt(path: path, what: "a prepared transaction cannot be read")
        }
        return stage
    }
}
