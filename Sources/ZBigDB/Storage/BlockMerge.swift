internal import VirtMem

/// Brings what a transaction did to a block together with what the block is at its vote.
///
/// If nobody committed the block since, that is all of its patch. If somebody did,
/// it is no conflict as long as they changed other pages: the changed pages of
/// both are kept. What a patch stores besides, to join or replace parts, then
/// does not count, since it may be older than theirs: so no update is lost when a
/// change meets a rewrite.
struct BlockMerge {
    let write: BlockWrite
    /// With final ids.
    let patch: BlockPatch
    let currentTID: TID?
    let current: BlockRecipe

    init(_ write: BlockWrite, ids: [BlockID: BlockID], currentTID: TID?, current: BlockRecipe) {
        self.write = write
        self.currentTID = currentTID
        self.current = current
        var patch = write.patch
        for index in patch.parts.indices {
            patch.parts[index].block = ids[patch.parts[index].block] ?? patch.parts[index].block
        }
        self.patch = patch
    }

    /// - Throws: ``ConflictError``.
    func result() throws(ConflictError) -> BlockRecipe {
        if currentTID == write.base { return current.applying(patch, isExact: false) }
        // Without a version before or after there is nothing to bring together.
        guard write.base != nil, currentTID != nil else { throw conflict }
        let pages = patch.changed.pageCount
        let theirs = current.differences(from: write.baseRecipe, pageCount: pages)
        guard theirs.isDisjoint(with: patch.changed.widened(by: write.spread)) else { throw conflict }
        return current.applying(patch, isExact: true)
    }

    private var conflict: ConflictError {
        ConflictError(
            oid: write.key.oid, className: nil, part: write.key.part, base: write.base, current: currentTID)
    }
}

extension BlockEdge {
    /// Refuses if somebody changed the pages.
    ///
    /// - Throws: ``ConflictError``.
    func check(_ current: BlockRecipe, _ currentTID: TID?) throws(ConflictError) {
        if currentTID == base { return }
        let theirs = current.differences(from: baseRecipe, pageCount: pages.pageCount)
        guard theirs.isDisjoint(with: pages) else {
            throw ConflictError(
                oid: key.oid, className: nil, part: key.part, base: base, current: currentTID)
        }
    }
}

extension BlockPatch {
    /// The block records it names.
    var blocks: Set<BlockID> { Set(parts.map(\.block)) }
}

extension PageSet {
    /// The set with so many neighbours of each page.
    func widened(by distance: Int) -> PageSet {
        if distance == 0 { return self }
        var result = PageSet(pageCount: pageCount)
        for run in runs {
            result.insert(
                contentsOf: max(0, run.lowerBound - distance)..<min(pageCount, run.upperBound + distance))
        }
        return result
    }
}
