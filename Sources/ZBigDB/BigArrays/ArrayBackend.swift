internal import Synchronization
internal import VirtMem

/// What the virtual-memory engine knows of an array's file: blocks come from
/// the connection's snapshot, and go to the block writer of its transaction.
///
/// It is called from any thread, and knows neither the connection nor its
/// objects: only the box with the snapshot of the moment, and the writer.
final class ArrayBackend: BigFile {
    let oid: OID
    let blockSize: Int
    let description: String
    private let box: SnapshotBox
    private let ahead: AheadWriter
    private let policy: RewritePolicy
    private let compression: ArrayCompression
    let state = Mutex(State())

    struct State {
        var writer: (any BlockWriter)?
        /// Blocks from this one on were dropped by this transaction: they are
        /// holes, whatever the snapshot says.
        var droppedFrom: Int?
        /// The first block this transaction cut, perhaps only in part.
        var cutFrom: Int?
        /// What this transaction stored of its changes.
        var stored: [Int: Stored] = [:]
        /// Runs of blocks that come next and are to lie in one record each.
        var extents: [Range<Int>] = []
        var spread = 0
        /// Bytes of the largest elements in it.
        var itemSize = 1
    }

    /// A block that was given to a writer.
    struct Stored: Equatable {
        let base: TID?
        let baseRecipe: BlockRecipe
        var patch: BlockPatch
        /// Whether it can be loaded from there.
        var isReadable = false
        /// Whether memory may show what was stored of it ahead, under later changes too.
        var isShown: Bool

        var recipe: BlockRecipe { baseRecipe.applying(patch, isExact: false) }
    }

    init(
        oid: OID, blockSize: Int, path: String, box: SnapshotBox, ahead: AheadWriter, policy: RewritePolicy,
        compression: ArrayCompression
    ) {
        self.oid = oid
        self.blockSize = blockSize
        description = "array file \(oid) of \(path)"
        self.box = box
        self.ahead = ahead
        self.policy = policy
        self.compression = compression
    }

    // MARK: Loading

    func sources(of blks: Range<Int>) throws -> [BlockSource] {
        let snapshot = try box.current(for: description)
        let (dropped, stored) = state.withLock { state in
            (state.droppedFrom ?? .max, Self.readable(state, blks))
        }
        let kept = blks.lowerBound..<min(max(blks.lowerBound, dropped), blks.upperBound)
        var sources = try snapshot.sources(oid, kept, blockSize: blockSize)
        sources += Array(repeating: .hole, count: blks.count - kept.count)
        for (block, recipe) in stored {
            sources[block - blks.lowerBound] = try snapshot.source(recipe, blockSize: blockSize)
        }
        return sources
    }

    private static func readable(_ state: State, _ blks: Range<Int>) -> [(Int, BlockRecipe)] {
        if state.stored.isEmpty { return [] }
        return blks.compactMap { block in
            guard let stored = state.stored[block], stored.isReadable else { return nil }
            return (block, stored.recipe)
        }
    }

    func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        _ = try unsafe load(blk, into: buffer)
    }

    /// With a thread that reads at the boundary the snapshot may be another than the one that gave the key.
    func loadblk(_ blk: Int, of key: FrameKey, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
        try unsafe load(blk, into: buffer)?.rawValue == key.revision
    }

    /// Returns which version it loaded; nil for zeros and for what this transaction stored ahead.
    private func load(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> TID? {
        let snapshot = try box.current(for: description)
        if let stored = state.withLock({ Self.readable($0, blk..<(blk + 1)).first?.1 }) {
            try unsafe snapshot.read(stored, ofBlock: blk, into: buffer)
            return nil
        }
        guard let record = try snapshot.record(RecordKey(oid, block: blk)), let recipe = record.value.recipe
        else { return nil }
        try unsafe snapshot.read(recipe, ofBlock: blk, into: buffer)
        return record.tid
    }

    // MARK: Storing

    /// Blocks stored from now on go to `writer`.
    func begin(_ writer: any BlockWriter) { state.withLock { $0.writer = writer } }

    /// Elements of this size lie in it: changes of pages that share one conflict.
    func note(itemSize: Int) {
        let spread = systemPageSize % itemSize == 0 ? 0 : (itemSize + systemPageSize - 1) / systemPageSize
        state.withLock { state in
            state.spread = max(state.spread, spread)
            state.itemSize = max(state.itemSize, itemSize)
        }
    }

    func willStore(_ blocks: Range<Int>, changedPages: [Int]) {
        let extents = self.extents(in: blocks, changedPages).filter { isWorthAnExtent($0) }
        state.withLock { $0.extents = extents }
    }

    /// Blocks that replace others take the space of others only if they are small; large
    /// records would have to find it in one piece, and make the file grow. So replaced blocks
    /// become an extent only if they fill it.
    private func isWorthAnExtent(_ blocks: Range<Int>) -> Bool {
        if blocks.count >= OpenExtent.mostBlocks(of: blockSize) { return true }
        guard let snapshot = try? box.current(for: description) else { return false }
        return !blocks.contains { block in
            (try? snapshot.record(RecordKey(oid, block: block))) != .some(nil)
        }
    }

    /// The parts of a run of changed blocks that are worth a record of their own.
    private func extents(in blocks: Range<Int>, _ changedPages: [Int]) -> [Range<Int>] {
        if compression != .none { return [] }
        let whole = Int(RewritePolicy.wholeShare * Double(blockSize / systemPageSize))
        let most = OpenExtent.mostBlocks(of: blockSize)
        let fewest = max(OpenExtent.fewestBytes / blockSize, 2)
        var extents: [Range<Int>] = []
        var start: Int?
        for block in blocks.lowerBound...blocks.upperBound {
            let isWhole = block < blocks.upperBound && changedPages[block - blocks.lowerBound] >= whole
            if isWhole, start == nil { start = block }
            guard let first = start, !isWhole || block - first == most else { continue }
            if block - first >= fewest { extents.append(first..<block) }
            start = isWhole ? block : nil
        }
        return extents
    }

    func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {
        guard let writer = state.withLock({ $0.writer }) else {
            throw StorageError.protocolViolation("\(description): storeblk outside a commit")
        }
        guard let stored = try unsafe store(blk, bytes, changed, writer) else { return }
        state.withLock { $0.stored[blk] = stored }
    }

    /// Blocks can be stored ahead of the commit until it begins.
    var canSpill: Bool { state.withLock { $0.writer == nil } }

    func spillblks(_ blocks: [DirtyBlock]) throws {
        let writer = try ahead.current(for: description)
        var stored: [(Int, Stored)] = []
        for run in unsafe Self.runs(unsafe blocks) {
            let changed = run.map { unsafe blocks[$0].changed.count }
            let first = unsafe blocks[run.lowerBound].number
            willStore(first..<(first + run.count), changedPages: changed)
            for index in run {
                let block = unsafe blocks[index]
                if let done = try unsafe store(block.number, block.bytes, block.changed, writer) {
                    stored.append((unsafe block.number, done))
                }
            }
        }
        try writer.flush()
        state.withLock { state in
            for (number, block) in stored {
                var block = block
                block.isReadable = true
                block.isShown = true
                state.stored[number] = block
            }
        }
    }

    /// Ranges of indices of blocks with adjacent numbers.
    private static func runs(_ blocks: [DirtyBlock]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for index in unsafe blocks.indices {
            if let last = runs.last, last.upperBound == index,
                unsafe blocks[index - 1].number + 1 == blocks[index].number
            {
                runs[runs.count - 1] = last.lowerBound..<(index + 1)
            } else {
                runs.append(index..<(index + 1))
            }
        }
        return runs
    }

    /// Gives what changed to `writer`; nil if nothing did.
    private func store(
        _ blk: Int, _ bytes: UnsafeRawBufferPointer, _ changed: PageSet, _ writer: any BlockWriter
    ) throws -> Stored? {
        let (before, dropped, extent, itemSize) = state.withLock { state in
            let dropped = state.droppedFrom.map { blk >= $0 } ?? false
            return (state.stored[blk], dropped, Self.takeExtent(blk, &state), state.itemSize)
        }
        if let extent { try writer.expect(oid, extent, blockSize: blockSize) }
        let snapshot = try box.current(for: description)
        let record = before == nil ? try snapshot.record(RecordKey(oid, block: blk)) : nil
        let baseRecipe = before?.baseRecipe ?? record?.value.recipe ?? BlockRecipe()
        // What is dropped is zeros, whatever is stored.
        let recipe = before?.recipe ?? (dropped ? BlockRecipe() : baseRecipe)
        // A page written with the bytes it had is no change (E24).
        let differing = try unsafe snapshot.differences(recipe, bytes, changed)
        if differing.isEmpty { return nil }
        let plan = policy.plan(recipe, changed: differing)
        var pages = recipe.pages(of: changed.pageCount)
        pages.formUnion(differing)
        pages.formIntersection(plan.covered)
        for page in differing.pages where unsafe Self.isZero(bytes, page) { pages.remove(page) }
        if plan.isWhole { pages.fillIfDense() }
        let part = unsafe try writer.store(
            NewBlock(
                oid: oid, number: blk, bytes: bytes, pages: pages,
                compression: compression.blocks(elementSize: itemSize)))
        var patch = BlockPatch(parts: part.map { [$0] } ?? [], changed: differing, covered: plan.covered)
        if dropped, before == nil {
            patch.changed = .all(pageCount: changed.pageCount)
            patch.covered = patch.changed
        }
        if let earlier = before?.patch { patch = earlier.followed(by: patch) }
        return Stored(
            base: before?.base ?? record?.tid, baseRecipe: baseRecipe, patch: patch,
            isShown: before?.isShown ?? false)
    }

    private static func takeExtent(_ blk: Int, _ state: inout State) -> Range<Int>? {
        guard let first = state.extents.first, first.contains(blk) else { return nil }
        return state.extents.removeFirst()
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer, _ page: Int) -> Bool {
        let range = (page * systemPageSize)..<((page + 1) * systemPageSize)
        return unsafe CRC32C.isZero(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }

    // MARK: Dropping

    /// Blocks from `block` on become holes in this transaction; `cut` is it, or the one
    /// before if that loses its end.
    func drop(from block: Int, cutting cut: Int) {
        state.withLock { state in
            state.droppedFrom = min(state.droppedFrom ?? .max, block)
            state.cutFrom = min(state.cutFrom ?? .max, cut)
            state.stored = state.stored.filter { $0.key < block }
        }
    }

    var hasStoredBlocks: Bool { state.withLock { !$0.stored.isEmpty } }
    var cutFrom: Int? { state.withLock { $0.cutFrom } }

    /// Blocks it stored, and the one from which on it dropped them.
    var changedBlocks: (Set<Int>, droppedFrom: Int?) {
        state.withLock { (Set($0.stored.keys), $0.droppedFrom) }
    }

    /// What a commit needs to know of what was stored.
    func blockWrites() -> [BlockWrite] {
        state.withLock { state in
            state.stored.map { number, stored in
                BlockWrite(
                    key: RecordKey(oid, block: number), base: stored.base, baseRecipe: stored.baseRecipe,
                    patch: stored.patch, spread: state.spread)
            }
        }
    }

    /// The pages of neighbouring blocks that elements it changed reach into.
    func blockEdges() throws -> [BlockEdge] {
        let pageCount = blockSize / systemPageSize
        let (stored, dropped, spread) = state.withLock { ($0.stored, $0.droppedFrom ?? .max, $0.spread) }
        if spread == 0 { return [] }
        var pages: [Int: PageSet] = [:]
        for (number, block) in stored {
            let own = (number * pageCount)..<((number + 1) * pageCount)
            for run in block.patch.changed.runs {
                let start = own.lowerBound + run.lowerBound
                let reached = max(0, start - spread)..<(start + run.count + spread)
                for page in reached where !own.contains(page) {
                    pages[page / pageCount, default: PageSet(pageCount: pageCount)].insert(page % pageCount)
                }
            }
        }
        let snapshot = try box.current(for: description)
        // Who cuts blocks off must have seen all of them (see cutOffs), so their pages need no check.
        return try pages.filter { $0.key < dropped }.map { number, pages in
            let key = RecordKey(oid, block: number)
            let record = stored[number] == nil ? try snapshot.record(key) : nil
            return BlockEdge(
                key: key, base: stored[number]?.base ?? record?.tid,
                baseRecipe: stored[number]?.baseRecipe ?? record?.value.recipe ?? BlockRecipe(), pages: pages)
        }
    }

    /// The records of dropped blocks that were not written again.
    func drops() throws -> [RecordWrite] {
        let (dropped, stored) = state.withLock { ($0.droppedFrom, Set($0.stored.keys)) }
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

    /// The transaction has ended. Returns the blocks whose memory may show what the
    /// snapshot does not have: those it dropped, from one on, and those it stored ahead.
    func end() -> (dropped: Int?, ahead: [Int]) {
        state.withLock { state in
            let ahead = state.stored.filter(\.value.isShown).map(\.key)
            let dropped = state.droppedFrom
            let (spread, itemSize) = (state.spread, state.itemSize)
            state = State()
            (state.spread, state.itemSize) = (spread, itemSize)
            return (dropped, ahead)
        }
    }
}

extension PageSet {
    /// Adds what is missing up to the last page, if that is little: one piece is read faster.
    fileprivate mutating func fillIfDense() {
        guard let last = runs.last?.upperBound, count * 4 >= last * 3 else { return }
        insert(contentsOf: 0..<last)
    }
}
