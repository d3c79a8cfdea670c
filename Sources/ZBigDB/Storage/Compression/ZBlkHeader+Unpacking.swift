internal import VirtMem

extension ZBlkHeader {
    /// Whether a part of a recipe is what the header says, as far as it must be to unpack it.
    func describes(_ part: BlockPart) -> Bool {
        codec == part.codec
            && (codec == .none
                || part.kind == kind && Int(part.offset) == payloadOffset
                    && Int(part.storedPages) == contentPages)
    }

    /// Fills `target`, which has `contentPages` pages, with the pages of a compressed record. Damage is an
    /// error: the payload is checked against its checksums first, and never more is written
    /// than fits.
    func unpack(_ record: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) throws(Damage) {
        guard target.count == contentPages * pageSize else { throw Damage("impossible sizes") }
        if let page = unsafe damagedPages(record).first {
            throw Damage("the checksum of page \(page) of its compressed data is wrong")
        }
        let payload = unsafe UnsafeRawBufferPointer(
            rebasing: record[payloadOffset..<(payloadOffset + payloadSize)])
        guard codec == .shuffledZstd, let elementSize = compression?.elementSize else {
            return unsafe try Zstd.decompress(payload, into: target)
        }
        unsafe try Scratch(target.count).withBytes { shuffled throws(Damage) in
            unsafe try Zstd.decompress(payload, into: shuffled)
            unsafe Shuffle.join(UnsafeRawBufferPointer(shuffled), to: target, elementSize: elementSize)
        }
    }
}
