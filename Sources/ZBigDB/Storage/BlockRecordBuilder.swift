internal import Dispatch
internal import VirtMem

/// Writes the record of one block, or one block's place in an extent: payload
/// copied and checksummed in one pass, by both halves at once where it pays.
/// Copying is most of what storing a block costs before the disk has it, and
/// half of that is the first touch of the memory copied to.
@safe
struct BlockRecordBuilder {
    /// Records of at least this many pages are built by two threads.
    private static let pagesForTwo = 128

    private let block: NewBlock
    private let slots: [Range<Int>]
    private let pageCount: Int
    private let blockPages: Int
    private let kind: ZBlkKind
    private let packed: PackedPayload?

    /// Nil for a block of which nothing is to be stored.
    init?(_ block: NewBlock) {
        let slots = unsafe block.pages.runs
        guard let first = slots.first else { return nil }
        unsafe self.block = block
        self.slots = slots
        pageCount = slots.reduce(0) { $0 + $1.count }
        blockPages = unsafe block.pages.pageCount
        kind = slots.count == 1 && first.lowerBound == 0 ? .full : .delta
        packed = unsafe block.compression.flatMap { unsafe PackedPayload(block.bytes, slots, $0) }
    }

    private var payloadPages: Int { packed?.pageCount ?? pageCount }

    private var payloadOffset: Int {
        ZBlkHeader.payloadOffset(
            kind: kind, pages: payloadPages, pagesPerBlock: blockPages, pageSize: systemPageSize)
    }

    /// Bytes of the record.
    var size: Int { payloadOffset + payloadPages * systemPageSize }

    /// The part of a recipe that names the record.
    func part(_ id: BlockID) -> BlockPart {
        BlockPart(
            kind: kind, codec: packed?.codec ?? .none, block: id, offset: UInt32(payloadOffset),
            storedPages: UInt32(pageCount), runs: runs)
    }

    private var runs: [PageRun] {
        var slot = 0
        return slots.map { range in
            defer { slot += range.count }
            return PageRun(page: UInt32(range.lowerBound), count: UInt32(range.count), slot: UInt32(slot))
        }
    }

    /// Fills `target`, which has `size` bytes.
    func build(in target: UnsafeMutableRawBufferPointer) {
        let payload = unsafe UnsafeMutableRawBufferPointer(rebasing: target[payloadOffset...])
        let checksums: [UInt32]
        if let packed {
            unsafe packed.copy(to: payload)
            checksums = unsafe CRC32C.pages(UnsafeRawBufferPointer(payload), pageSize: systemPageSize)
        } else {
            checksums = unsafe [UInt32](unsafeUninitializedCapacity: pageCount) { sums, count in
                unsafe copy(to: payload, sums)
                count = pageCount
            }
        }
        let header = unsafe ZBlkHeader(
            kind: kind, codec: packed?.codec ?? .none, pageSize: systemPageSize, pagesPerBlock: blockPages,
            oid: block.oid, firstBlock: block.number, pages: kind == .delta ? block.pages : nil,
            checksums: checksums, payloadSize: packed?.size, compression: block.compression,
            contentPages: pageCount)
        unsafe target.copyBytes(from: header.encoded())
    }

    /// Copies the pages to `payload`, one after the other, and their checksums to `sums`.
    func copy(to payload: UnsafeMutableRawBufferPointer, _ sums: UnsafeMutableBufferPointer<UInt32>) {
        let parts = pageCount >= Self.pagesForTwo ? 2 : 1
        let job = unsafe CopyJob(
            from: block.bytes, to: payload, sums: sums, runs: runs, pages: pageCount, parts: parts)
        if parts == 1 {
            unsafe job.run(0)
        } else {
            DispatchQueue.concurrentPerform(iterations: parts) { unsafe job.run($0) }
        }
    }
}

/// The pages of one record, copied in equal parts.
///
/// `@unchecked Sendable`: each part writes slots of its own, the bytes copied from
/// are not changed meanwhile, and the memory outlives the call that runs all parts.
@unsafe
private struct CopyJob: @unchecked Sendable {
    /// Copied and checksummed while it is in the cache: pages.
    private static let chunk = 32

    let from: UnsafeRawBufferPointer
    let to: UnsafeMutableRawBufferPointer
    let sums: UnsafeMutableBufferPointer<UInt32>
    let runs: [PageRun]
    let pages: Int
    let parts: Int

    func run(_ part: Int) {
        let slots = unsafe (pages * part / parts)..<(pages * (part + 1) / parts)
        for index in unsafe runs.indices {
            let run = unsafe runs[index]
            let mine = (Int(run.slot)..<Int(run.slot + run.count)).clamped(to: slots)
            var slot = mine.lowerBound
            while slot < mine.upperBound {
                let count = unsafe min(Self.chunk, mine.upperBound - slot)
                unsafe copy(page: Int(run.page) + slot - Int(run.slot), slot, count)
                slot += count
            }
        }
    }

    private func copy(page: Int, _ slot: Int, _ count: Int) {
        let range = (page * systemPageSize)..<((page + count) * systemPageSize)
        let source = unsafe UnsafeRawBufferPointer(rebasing: from[range])
        let target = (slot * systemPageSize)..<((slot + count) * systemPageSize)
        unsafe UnsafeMutableRawBufferPointer(rebasing: to[target]).copyMemory(from: source)
        let found = unsafe CRC32C.pages(source, pageSize: systemPageSize)
        for index in 0..<count { unsafe sums[slot + index] = found[index] }
    }
}
