extension Engine {
    /// The pages of a write-protected dirty block that were written, by the kernel's
    /// page map, or where that cannot be read by comparison with the clean content.
    ///
    /// - Parameters:
    ///   - clean: nil if the clean content is not mapped anywhere.
    ///   - written: what the page map says.
    func changedPages(
        _ clean: LoadedContent?, _ address: UnsafeRawPointer, _ blockSize: Int, written: PageSet?
    ) throws(VirtMemError) -> PageSet {
        // Memory of its own is there as a whole: what is still zero was not changed.
        if case .zeros? = clean {} else if let written { return written }
        // What a detached block would have to be compared with is not mapped anywhere.
        guard let clean else { return .all(pageCount: blockSize / systemPageSize) }
        let bytes = unsafe UnsafeRawBufferPointer(start: address, count: blockSize)
        return unsafe try CleanContent(clean, pool: pool.descriptor).differingPages(bytes)
    }
}
