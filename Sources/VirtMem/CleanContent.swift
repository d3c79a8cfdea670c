#if canImport(Glibc)
    internal import Glibc
#endif

/// The clean content of a block, to compare its memory with: how changed pages
/// are found where the kernel's page map cannot be read.
struct CleanContent {
    private let extents: [FileExtent]

    init(_ content: LoadedContent, pool: Int32) {
        switch content {
        case .hole, .zeros, .skipped: extents = []
        case .extents(let list): extents = list
        case .frame(let frame):
            extents = [FileExtent(descriptor: pool, fileOffset: frame.offset, length: frame.size)]
        }
    }

    /// The pages of `bytes` that differ.
    func differingPages(_ bytes: UnsafeRawBufferPointer) throws(VirtMemError) -> PageSet {
        let pages = bytes.count / systemPageSize
        var set = PageSet(pageCount: pages)
        guard let start = bytes.baseAddress else { return set }
        var covered = 0
        for extent in extents {
            let first = extent.blockOffset / systemPageSize
            unsafe addNonzero(covered..<first, start, &set)
            try unsafe addDiffering(extent, start, &set)
            covered = first + extent.length / systemPageSize
        }
        unsafe addNonzero(covered..<pages, start, &set)
        return set
    }

    private func addDiffering(_ extent: FileExtent, _ start: UnsafeRawPointer, _ set: inout PageSet)
        throws(VirtMemError)
    {
        let offset = off_t(extent.fileOffset)
        guard
            let clean = unsafe mmap(nil, extent.length, PROT_READ, MAP_SHARED, extent.descriptor, offset),
            unsafe clean != MAP_FAILED
        else { throw .outOfMemory(doing: "mapping clean content to compare with", errno: lastErrno()) }
        defer { unsafe munmap(clean, extent.length) }
        for page in 0..<(extent.length / systemPageSize) {
            let at = page * systemPageSize
            let mine = unsafe start + extent.blockOffset + at
            if unsafe memcmp(mine, clean + at, systemPageSize) != 0 {
                set.insert(extent.blockOffset / systemPageSize + page)
            }
        }
    }

    /// Pages that no extent covers are clean as long as they are zeros.
    private func addNonzero(_ pages: Range<Int>, _ start: UnsafeRawPointer, _ set: inout PageSet) {
        for page in pages {
            let bytes = unsafe UnsafeRawBufferPointer(
                start: start + page * systemPageSize, count: systemPageSize)
            if unsafe bytes.bindMemory(to: UInt64.self).contains(where: { $0 != 0 }) { set.insert(page) }
        }
    }
}
