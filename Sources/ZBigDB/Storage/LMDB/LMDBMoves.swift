internal import VirtMem

/// A block that is stored elsewhere with the bytes it has.
struct BlockMove: Sendable {
    let key: RecordKey
    /// The version and the recipe it was read from.
    let tid: TID
    let recipe: BlockRecipe
    /// Where it is now.
    let part: BlockPart
}

// Moving blocks changes nothing that anybody sees: a record keeps its version and
// gets another recipe. So it conflicts with nobody. Who changed the block meanwhile
// wins, and the copy is dropped; who changes it in a transaction under way brings its
// pages together with the new recipe at its vote. The log names moved blocks, so
// that connections map them anew at their next boundary.

extension LMDBStorage {
    /// Puts the new recipes in place, as one transaction. Returns how many blocks it moved.
    func commit(_ moves: [BlockMove], _ writer: LMDBBlockWriter, note: String) throws -> Int {
        let contents = try writer.finish()
        try environment.makeRoom(512 * moves.count)
        let id = TransactionID()
        try commitLock.acquire(for: id)
        defer { commitLock.release() }
        CommitProbe.reach(.voting)
        let write = try LMDBWrite(environment)
        defer { write.abort() }
        do {
            let transaction = unsafe write.transaction
            let moved = try unsafe apply(moves, contents, transaction)
            try unsafe forgetPending(contents.written, transaction)
            let dropped = try unsafe dropSomeGarbage(transaction)
            if !moved.isEmpty {
                let tid = try unsafe nextTID(transaction)
                let record = TransactionRecord(
                    tid: tid, id: id, user: "", note: note, metadata: [:], changes: ChangeSet(),
                    moves: moved)
                try unsafe append(record.encoded(), tid, transaction)
            }
            CommitProbe.reach(.recordsWritten)
            try write.commit()
            writer.handOver()
            forgetGarbage(dropped)
            return moved.blockCount
        } catch let failure as WriteFailure {
            throw environment.final(failure)
        }
    }

    private func apply(
        _ moves: [BlockMove], _ contents: LMDBBlockWriter.Contents, _ transaction: LMDBTransaction
    ) throws -> ChangeSet {
        var moved = ChangeSet()
        var uses: [BlockID: Int] = [:]
        let inDoubt = try unsafe keysInDoubt(transaction)
        do {
            let cursor = try unsafe transaction.cursor(format.records)
            for move in moves where !inDoubt.contains(move.key) {
                guard let current = unsafe try newest(move.key, cursor), unsafe current.tid == move.tid,
                    let value = unsafe try? RecordValue(decoding: Array(current.value)),
                    value.recipe == move.recipe
                else { continue }
                // Older versions may share the parts with it.
                if let older = unsafe try cursor.next(),
                    unsafe RecordKey.decode(older.key)?.key == move.key
                {
                    continue
                }
                let new = RecordValue.block(BlockRecipe(parts: [move.part]))
                try unsafe transaction.put(format.records, move.key.encoded(move.tid), new.encoded())
                for id in move.recipe.blocks where id != move.part.block {
                    try unsafe release(id, transaction)
                }
                uses[move.part.block, default: 0] += 1
                moved.insert(move.key)
            }
        }
        try unsafe settle(contents, contents.ids.values, uses: uses, transaction)
        return moved
    }

    /// What transactions in doubt want to change stays where it is.
    private func keysInDoubt(_ transaction: LMDBTransaction) throws -> Set<RecordKey> {
        var keys: Set<RecordKey> = []
        try unsafe forEachStaged(transaction) { keys.formUnion($0.writes.map(\.key)) }
        return keys
    }
}

extension ChangeSet {
    /// How many blocks it names.
    var blockCount: Int { objects.values.reduce(0) { $0 + $1.blocks.count } }
}
