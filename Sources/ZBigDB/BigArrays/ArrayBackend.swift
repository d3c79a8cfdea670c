internal import Synchronization
internal import VirtMem

/// What the virtual-memory engine knows of an array's file: blocks come from
/// the connection's snapshot, and go to the block writer of its commit.
///
/// It is called from any thread, and knows neither the connection nor its
/// objects: only the box with the snapshot of the moment.
final class ArrayBackend: BigFile {
    let oid: OID
    let blockSize: Int
    let description: String
    private let box: SnapshotBox
    private let state = Mutex(State())

    private struct State {
        var writer: (any BlockWriter)?
        /// Blocks from this one on were dropped by this transaction: they are
        /// holes, whatever the snapshot says.
        var droppedFrom: Int?
        /// The first block this transaction cut, perhaps only in part.
        var cutFrom: Int?
        /// Blocks given to the writer.
        var stored: Set<Int> = []
    }

    init(oid: OID, blockSize: Int, path: String, box: SnapshotBox) {
        self.oid = oid
        self.blockSize = blockSize
        description = "array file \(oid) of \(path)"
        self.box = box
    }

    // MARK: Loading

    func sources(of blks: Range<Int>) throws -> [BlockSource] {
        let snapshot = try box.current(for: description)
        guard let dropped = state.withLock({ $0.droppedFrom }), dropped < blks.upperBound else {
            return try snapshot.sources(oid, blks, blockSize: blockSize)
        }
        let kept = blks.lowerBound..<max(blks.lowerBound, dropped)
        return try snapshot.sources(oid, kept, blockSize: blockSize)
            + Array(repeating: .hole, count: blks.count - kept.count)
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        let snapshot = try box.current(for: description)
        try unsafe snapshot.withBlock(oid, blk) { stored in
            guard let stored = unsafe stored else { return }
            let header = unsafe stored.header
            let damaged = unsafe header.damagedPages(stored.record)
            if let page = damaged.first {
                throw StorageError.corrupt(
                    path: description, what: "block \(blk), page \(page): its checksum is wrong")
            }
            guard unsafe stored.bytes.count <= buffer.count else {
                throw StorageError.corrupt(path: description, what: "block \(blk) is longer than a block")
            }
            unsafe buffer.copyMemory(from: stored.bytes)
        }
    }

    // MARK: Storing

    /// Blocks stored from now on go to `writer`.
    func begin(_ writer: any BlockWriter) {
        state.withLock { state in
            state.writer = writer
            state.stored = []
        }
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        let (writer, dropped) = state.withLock { ($0.writer, $0.droppedFrom.map { blk >= $0 } ?? false) }
        guard let writer else {
            throw StorageError.protocolViolation("\(description): storeblk outside a commit")
        }
        let snapshot = try box.current(for: description)
        let base: TID?
        if dropped {
            base = try snapshot.record(RecordKey(oid, block: blk))?.tid
        } else {
            // A page written with the bytes it had is no change (E24).
            let (tid, differs) = try unsafe snapshot.withBlock(oid, blk) { stored in
                unsafe (stored?.tid, Self.differs(bytes, changed, stored?.bytes))
            }
            if !differs { return }
            base = tid
        }
        try unsafe writer.store(NewBlock(oid: oid, number: blk, base: base, bytes: bytes))
        state.withLock { _ = $0.stored.insert(blk) }
    }

    /// Whether any of the changed pages differs from what is stored.
    private static func differs(
        _ bytes: UnsafeRawBufferPointer, _ changed: PageSet, _ stored: UnsafeRawBufferPointer?
    ) -> Bool {
        let pageSize = bytes.count / changed.pageCount
        let storedCount = unsafe stored?.count ?? 0
        for page in changed.pages {
            let range = (page * pageSize)..<((page + 1) * pageSize)
            let new = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
            if let stored = unsafe stored, range.upperBound <= storedCount {
                let old = unsafe UnsafeRawBufferPointer(rebasing: stored[range])
                if unsafe !equal(new, old) { return true }
            } else if unsafe !CRC32C.isZero(new) {
                return true
            }
        }
        return false
    }

    // MARK: Dropping

    /// Blocks from `block` on become holes in this transaction; `cut` is it, or the one
    /// before if that loses its end.
    func drop(from block: Int, cutting cut: Int) {
        state.withLock { state in
            state.droppedFrom = min(state.droppedFrom ?? .max, block)
            state.cutFrom = min(state.cutFrom ?? .max, cut)
        }
    }

    var hasStoredBlocks: Bool { state.withLock { !$0.stored.isEmpty } }
    var cutFrom: Int? { state.withLock { $0.cutFrom } }

    /// The records of dropped blocks that were not written again.
    func drops() throws -> [RecordWrite] {
        let (dropped, stored) = state.withLock { ($0.droppedFrom, $0.stored) }
        guard let dropped else { return [] }
        let snapshot = try box.current(for: description)
        var writes: [RecordWrite] = []
        var from = UInt64(dropped).bigEndianBytes
        while true {
            let page = try snapshot.parts(of: oid, from: from, limit: 1000)
            for record in page {
                guard let block = record.key.block, !stored.contains(block) else { continue }
                writes.append(RecordWrite(key: record.key, value: nil, base: record.tid))
            }
            guard let last = page.last, page.count == 1000 else { return writes }
            from = last.key.subkey + [0]
        }
    }

    /// The transaction has ended. Returns the block from which on blocks were dropped.
    func end() -> Int? {
        state.withLock { state in
            defer { state = State() }
            return state.droppedFrom
        }
    }
}

/// Whether two runs of bytes of one length are the same.
private func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard let x = a.baseAddress, let y = b.baseAddress else { return true }
    return unsafe memcmp(x, y, a.count) == 0
}

#if canImport(Glibc)
    internal import Glibc
#endif
