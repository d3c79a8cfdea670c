internal import VirtMem

/// The pages that a part's record has for its block, one slot after the other: where
/// they are, or decompressed.
@safe
enum PartContent {
    /// Valid as long as the record.
    case mapped(UnsafeRawBufferPointer)
    case unpacked(Scratch)

    /// - Throws: what is wrong with the record. Only what is compressed is checked against its checksums.
    init(_ part: BlockPart, _ record: UnsafeRawBufferPointer) throws(ZBlkHeader.Damage) {
        let length = Int(part.storedPages) * systemPageSize
        if part.codec == .none {
            let end = Int(part.offset) + length
            guard end <= record.count else { throw ZBlkHeader.Damage("it is too short") }
            self = unsafe .mapped(UnsafeRawBufferPointer(rebasing: record[Int(part.offset)..<end]))
            return
        }
        let header = try unsafe ZBlkHeader(decoding: record)
        guard header.describes(part) else { throw ZBlkHeader.Damage("it is not what its recipe says") }
        let scratch = Scratch(length)
        unsafe try scratch.withBytes { bytes throws(ZBlkHeader.Damage) in
            unsafe try header.unpack(record, into: bytes)
        }
        self = .unpacked(scratch)
    }

    /// Runs `body` with the bytes of a run of the part.
    func withPages<R, E: Error>(_ run: PageRun, _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E)
        -> R
    {
        let start = Int(run.slot) * systemPageSize
        let range = start..<(start + Int(run.count) * systemPageSize)
        switch self {
        case .mapped(let bytes):
            return unsafe try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .unpacked(let scratch):
            return unsafe try scratch.withBytes { bytes throws(E) in
                unsafe try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
    }
}
