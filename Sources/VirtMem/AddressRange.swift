internal import CVirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// The system's page size in bytes.
public let systemPageSize = Int(sysconf(Int32(_SC_PAGESIZE)))

/// The machine's memory in bytes.
public let systemMemory = sysconf(Int32(_SC_PHYS_PAGES)) * systemPageSize

/// Address space of its own: reserved without memory, given back on deinit.
///
/// It begins on a granule of the fault table, hence also on a 2 MiB boundary,
/// so that aligned extents get 2 MiB page-table entries.
@safe
struct AddressRange: ~Copyable {
    let base: UnsafeMutableRawPointer
    let length: Int
    static let granule = 1 << Int(CVIRTMEM_GRANULE_SHIFT)

    /// Reserves at least `bytes` bytes.
    init(reserving bytes: Int) throws(VirtMemError) {
        let granule = Self.granule
        let (padded, overflow) = max(bytes, 1).addingReportingOverflow(granule - 1)
        guard !overflow, padded < Int.max - 2 * granule else {
            throw .outOfMemory(doing: "reserving \(bytes) bytes of address space", errno: ENOMEM)
        }
        let length = padded / granule * granule
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let raw = unsafe mmap(nil, length + granule, PROT_NONE, flags, -1, 0), unsafe raw != MAP_FAILED
        else {
            throw .outOfMemory(doing: "reserving \(length) bytes of address space", errno: lastErrno())
        }
        // Cut the ends off, so that what is left begins on a granule.
        let start = UInt(bitPattern: raw)
        let aligned = (start + UInt(granule) - 1) / UInt(granule) * UInt(granule)
        let head = Int(aligned - start)
        if head > 0 { unsafe munmap(raw, head) }
        let tail = granule - head
        if tail > 0 { unsafe munmap(raw + head + length, tail) }
        unsafe self.base = raw + head
        self.length = length
    }

    deinit { unsafe munmap(base, length) }
}

/// The calls that change what a block's addresses show.
enum Mapping {
    static let noAccess = PROT_NONE
    static let readOnly = PROT_READ
    static let readWrite = PROT_READ | PROT_WRITE

    /// Shows `length` bytes of a file at `address`, privately. Returns 0 or an errno.
    static func map(
        _ address: UnsafeMutableRawPointer, _ length: Int, _ protection: Int32, _ descriptor: Int32,
        _ offset: Int
    ) -> Int32 {
        let flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        let result = unsafe mmap(address, length, protection, flags, descriptor, off_t(offset))
        return unsafe result == MAP_FAILED ? lastErrno() : 0
    }

    /// Shows zeros in memory of its own, in large pages where it can. Returns 0 or an errno.
    static func mapZeros(_ address: UnsafeMutableRawPointer, _ length: Int, _ protection: Int32) -> Int32 {
        let flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | MAP_ANONYMOUS
        let result = unsafe mmap(address, length, protection, flags, -1, 0)
        if unsafe result == MAP_FAILED { return lastErrno() }
        #if os(Linux)
            // A hint: without it the pages are small.
            _ = unsafe madvise(address, length, MADV_HUGEPAGE)
        #endif
        return 0
    }

    /// Makes the addresses inaccessible but keeps them reserved. Returns 0 or an errno.
    static func unmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> Int32 {
        let flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | MAP_ANONYMOUS
        let result = unsafe mmap(address, length, PROT_NONE, flags, -1, 0)
        return unsafe result == MAP_FAILED ? lastErrno() : 0
    }

    /// Returns 0 or an errno.
    static func protect(_ address: UnsafeMutableRawPointer, _ length: Int, _ protection: Int32) -> Int32 {
        unsafe mprotect(address, length, protection) == 0 ? 0 : lastErrno()
    }

    /// Drops private copies: the file's bytes show again. Returns 0 or an errno.
    static func dropPrivateCopies(_ address: UnsafeMutableRawPointer, _ length: Int) -> Int32 {
        unsafe madvise(address, length, MADV_DONTNEED) == 0 ? 0 : lastErrno()
    }
}
