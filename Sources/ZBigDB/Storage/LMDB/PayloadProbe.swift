internal import VirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// Proves, when a database opens, that blocks can be mapped from its file.
///
/// Where LMDB puts a value in its file is not part of its interface. A known
/// value is looked up, its place computed as for any block, and the file
/// mapped there. Unless that shows the value, blocks are copied instead: slower,
/// never wrong.
enum PayloadProbe {
    /// A header's worth of bytes and one page of payload.
    static let record: [UInt8] = (0..<(2 * systemPageSize - 16)).map {
        UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8)
    }

    /// Whether the file shows the probe where it is computed to be. Sets the
    /// environment's map base if so.
    static func holds(_ environment: LMDBEnvironment, _ transaction: LMDBTransaction, _ meta: LMDBTree)
        throws(StorageError) -> Bool
    {
        guard let value = unsafe try transaction.get(meta, FileFormat.MetaKey.probe),
            unsafe value.elementsEqual(record), let offset = unsafe environment.fileOffset(of: value)
        else { return false }
        let payload = offset + systemPageSize - 16
        guard payload % systemPageSize == 0 else { return false }
        // Whole pages: the payload, and the page its header lies in.
        let start = payload - systemPageSize
        guard
            let mapped = unsafe mmap(
                nil, 2 * systemPageSize, PROT_READ, MAP_PRIVATE, environment.descriptor, off_t(start)),
            unsafe mapped != MAP_FAILED
        else { return false }
        defer { unsafe munmap(mapped, 2 * systemPageSize) }
        guard start + 2 * systemPageSize <= environment.extent().length else { return false }
        let seen = unsafe UnsafeRawBufferPointer(start: mapped + 16, count: record.count)
        guard unsafe seen.elementsEqual(record) else { return false }
        unsafe environment.setMapBase(value, isAt: offset)
        return true
    }
}
