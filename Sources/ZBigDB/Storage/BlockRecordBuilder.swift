internal import Dispatch
internal import VirtMem

/// Writes the record of one block: trailing zero pages left out, payload copied
/// and checksummed in one pass, by both halves at once where it pays. Copying is
/// most of what storing a block costs before the disk has it, and half of
/// that is the first touch of the memory copied to.
///
/// `@unchecked Sendable`: it only reads the block's bytes, which nobody changes
/// during the call that made it.
@safe
struct BlockRecordBuilder: @unchecked Sendable {
    /// Copied and checksummed while it is in the cache: bytes.
    private static let chunk = 128 << 10
    /// Records of at least this many pages are built by two threads.
    private static let pagesForTwo = 128

    private let bytes: UnsafeRawBufferPointer
    private let pages: Int
    private let oid: OID
    private let number: Int

    /// Nil for a block of zeros.
    init?(_ block: NewBlock) {
        let bytes = unsafe block.bytes
        var pages = bytes.count / systemPageSize
        while pages > 0 {
            let range = ((pages - 1) * systemPageSize)..<(pages * systemPageSize)
            guard unsafe CRC32C.isZero(UnsafeRawBufferPointer(rebasing: bytes[range])) else { break }
            pages -= 1
        }
        if pages == 0 { return nil }
        unsafe self.bytes = bytes
        self.pages = pages
        oid = unsafe block.oid
        number = unsafe block.number
    }

    private var payloadOffset: Int { ZBlkHeader.payloadOffset(pages: pages, pageSize: systemPageSize) }

    /// Bytes of the record.
    var size: Int { payloadOffset + pages * systemPageSize }

    /// Fills `target`, which has `size` bytes.
    func build(in target: UnsafeMutableRawBufferPointer) -> ZBlkHeader {
        let checksums = unsafe [UInt32](unsafeUninitializedCapacity: pages) { sums, count in
            let payload = unsafe UnsafeMutableRawBufferPointer(rebasing: target[payloadOffset...])
            let parts = pages >= Self.pagesForTwo ? 2 : 1
            let job = unsafe CopyJob(from: bytes, to: payload, sums: sums, pages: pages, parts: parts)
            if parts == 1 {
                unsafe job.run(0)
            } else {
                DispatchQueue.concurrentPerform(iterations: parts) { unsafe job.run($0) }
            }
            count = pages
        }
        let header = unsafe ZBlkHeader(
            kind: .full, pageSize: systemPageSize, pagesPerBlock: bytes.count / systemPageSize, blockCount: 1,
            oid: oid, firstBlock: number, checksums: checksums)
        unsafe target.copyBytes(from: header.encoded())
        return header
    }

    /// The pages of one record, copied in equal parts.
    ///
    /// `@unchecked Sendable`: each part reads and writes pages of its own, and
    /// the memory outlives the call that runs them all.
    @unsafe
    private struct CopyJob: @unchecked Sendable {
        let from: UnsafeRawBufferPointer
        let to: UnsafeMutableRawBufferPointer
        let sums: UnsafeMutableBufferPointer<UInt32>
        let pages: Int
        let parts: Int

        func run(_ part: Int) {
            let step = BlockRecordBuilder.chunk / systemPageSize
            let end = unsafe pages * (part + 1) / parts
            var page = unsafe pages * part / parts
            while page < end {
                let count = min(step, end - page)
                let range = (page * systemPageSize)..<((page + count) * systemPageSize)
                let source = unsafe UnsafeRawBufferPointer(rebasing: from[range])
                unsafe UnsafeMutableRawBufferPointer(rebasing: to[range]).copyMemory(from: source)
                let found = unsafe CRC32C.pages(source, pageSize: systemPageSize)
                for index in 0..<count { unsafe sums[page + index] = found[index] }
                page += count
            }
        }
    }
}
