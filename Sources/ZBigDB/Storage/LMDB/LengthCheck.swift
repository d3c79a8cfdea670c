#if canImport(Glibc)
    internal import Glibc
#endif

/// Finds a file that was cut off, before touching what is missing ends the
/// process with SIGBUS.
///
/// The file may lawfully be a little shorter than the pages LMDB counts: pages
/// taken and freed within one transaction at its end are never written. So a
/// short file is refused only if something in it reaches past its end. That is
/// found by reading LMDB's pages with `pread`: nothing is mapped and nothing is
/// changed, so it may run while other processes write.
struct LengthCheck {
    /// Something reaches past the end, or is no page of a tree.
    private struct Missing: Error {}

    private typealias Layout = LMDBPageLayout

    private let descriptor: Int32
    private let pageSize: Int
    private let length: Int

    /// - Throws: ``StorageError/truncated(path:size:expected:)``.
    static func run(_ environment: LMDBEnvironment) throws(StorageError) {
        if environment.extent().length >= environment.extent().used { return }
        // The snapshot keeps writers from reusing the pages that are looked at.
        try unsafe environment.read { transaction throws(StorageError) in
            let (used, length) = environment.extent()
            let check = LengthCheck(
                descriptor: environment.descriptor, pageSize: environment.pageSize, length: length)
            do {
                try unsafe check.trees(of: transaction.number)
            } catch {
                throw .truncated(path: environment.path, size: length, expected: used)
            }
        }
    }

    private func trees(of transaction: Int) throws(Missing) {
        for number in 0..<2 {
            let meta = try page(UInt64(number))
            guard meta.number(Layout.metaTransaction) == UInt64(transaction) else { continue }
            try tree(meta.number(Layout.metaFreeTree + Layout.rootInTree), 0)
            return try tree(meta.number(Layout.metaMainTree + Layout.rootInTree), 0)
        }
        throw Missing()
    }

    /// Everything below a page is there.
    private func tree(_ root: UInt64, _ depth: Int) throws(Missing) {
        if root == Layout.noPage { return }
        guard depth < 64 else { throw Missing() }
        let page = try self.page(root)
        let flags = page.short(10)
        let isBranch = flags & 1 != 0
        guard page.number(0) == root, isBranch || flags & 2 != 0 else { throw Missing() }
        let keys = (page.short(12) - Layout.pageHeader) / 2
        guard keys >= 0, Layout.pageHeader + 2 * keys <= pageSize else { throw Missing() }
        for key in 0..<keys {
            let node = page.short(Layout.pageHeader + 2 * key)
            guard node + 8 <= pageSize else { throw Missing() }
            if isBranch {
                let child = UInt64(page.short(node)) | UInt64(page.short(node + 2)) << 16
                try tree(child | UInt64(page.short(node + 4)) << 32, depth + 1)
                continue
            }
            let kind = page.short(node + 4)
            let value = node + 8 + page.short(node + 6)
            if kind & 1 != 0 {
                guard value + 8 <= pageSize else { throw Missing() }
                let size = page.short(node) | page.short(node + 2) << 16
                try span(page.number(value), Layout.pageHeader + size)
            } else if kind & 2 != 0 {
                guard value + Layout.rootInTree + 8 <= pageSize else { throw Missing() }
                try tree(page.number(value + Layout.rootInTree), depth + 1)
            }
        }
    }

    /// Bytes from the start of a page on are in the file.
    private func span(_ number: UInt64, _ count: Int) throws(Missing) {
        let (start, overflow) = number.multipliedReportingOverflow(by: UInt64(pageSize))
        guard !overflow, start <= UInt64(length), UInt64(length) - start >= UInt64(count) else {
            throw Missing()
        }
    }

    private func page(_ number: UInt64) throws(Missing) -> Page {
        try span(number, pageSize)
        guard let bytes = Layout.read(descriptor, Int(number) * pageSize, pageSize) else { throw Missing() }
        return Page(bytes: bytes)
    }

    private struct Page {
        let bytes: [UInt8]
        func short(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }
        func number(_ offset: Int) -> UInt64 { Layout.number(bytes, offset) }
    }
}
