#if canImport(Glibc)
    internal import Glibc
#endif

/// Places in LMDB's pages, the same in all 64-bit versions of 0.9.
enum LMDBPageLayout {
    static let pageHeader = 16
    static let noPage = UInt64.max
    /// In a tree's description.
    static let rootInTree = 40
    /// In the two pages at the start of the file that say which state it is in.
    static let metaFreeTree = 40
    static let metaMainTree = 88
    static let metaLastPage = 136
    static let metaTransaction = 144
    static let metaEnd = 152

    /// Bytes of an LMDB file; nil if they are not all there.
    static func read(_ descriptor: Int32, _ offset: Int, _ count: Int) -> [UInt8]? {
        let bytes = readWhole(count, at: offset, from: descriptor)
        return bytes?.count == count ? bytes : nil
    }

    /// A number in a page.
    static func number(_ page: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reversed().reduce(0) { $0 << 8 | UInt64(page[offset + $1]) }
    }
}

/// One of the two pages at the start of an LMDB file: the state that a transaction left.
struct LMDBMetaPage: Sendable {
    /// As far as LMDB uses it.
    let bytes: [UInt8]

    var transaction: UInt64 { number(LMDBPageLayout.metaTransaction) }
    var pageSize: Int { Int(number(LMDBPageLayout.metaFreeTree) & 0xffff_ffff) }
    private var root: UInt64 { number(LMDBPageLayout.metaMainTree + LMDBPageLayout.rootInTree) }

    init?(bytes: [UInt8]) {
        guard bytes.count == LMDBPageLayout.metaEnd else { return nil }
        self.bytes = bytes
        guard (512...65536).contains(pageSize) else { return nil }
    }

    /// Bytes that the file had in use.
    var usedBytes: Int? {
        let (bytes, overflow) = (number(LMDBPageLayout.metaLastPage) &+ 1).multipliedReportingOverflow(
            by: UInt64(pageSize))
        return overflow ? nil : Int(exactly: bytes)
    }

    /// The newest state of a file that nobody writes to meanwhile.
    static func newest(_ descriptor: Int32) -> LMDBMetaPage? {
        both(descriptor).max { $0.transaction < $1.transaction }
    }

    /// The state that a transaction left, if it is one of the last two, also while somebody writes.
    static func state(of transaction: UInt64, _ descriptor: Int32) -> LMDBMetaPage? {
        let found = both(descriptor).first { $0.transaction == transaction }
        // Read twice: it may have been overwritten meanwhile.
        let again = both(descriptor).first { $0.transaction == transaction }
        return found?.bytes == again?.bytes ? found : nil
    }

    private static func both(_ descriptor: Int32) -> [LMDBMetaPage] {
        guard let first = read(descriptor, 0) else { return [] }
        return [first] + (read(descriptor, first.pageSize).map { [$0] } ?? [])
    }

    private static func read(_ descriptor: Int32, _ offset: Int) -> LMDBMetaPage? {
        LMDBPageLayout.read(descriptor, offset, LMDBPageLayout.metaEnd).flatMap(LMDBMetaPage.init)
    }

    /// The checksum of the main tree's root, which changes with every transaction.
    func rootChecksum(_ descriptor: Int32) -> UInt32? {
        let (offset, overflow) = root.multipliedReportingOverflow(by: UInt64(pageSize))
        guard !overflow, offset < UInt64(Int.max) else { return nil }
        return LMDBPageLayout.read(descriptor, Int(offset), pageSize).map { CRC32C.checksum($0) }
    }

    /// Makes this the state of the file again.
    ///
    /// LMDB takes the page with the greater transaction number, and the next transaction
    /// overwrites the other one: it gets the same state with the number before.
    func restore(_ descriptor: Int32) -> Bool {
        [transaction - 1, transaction].allSatisfy { number in
            var page = bytes
            page.replaceSubrange(0..<8, with: Self.littleEndian(number & 1))
            page.replaceSubrange(
                LMDBPageLayout.metaTransaction..<LMDBPageLayout.metaEnd, with: Self.littleEndian(number))
            let offset = off_t(Int(number & 1) * pageSize)
            return unsafe pwrite(descriptor, page, page.count, offset) == page.count
        } && fsync(descriptor) == 0
    }

    private func number(_ offset: Int) -> UInt64 { LMDBPageLayout.number(bytes, offset) }

    private static func littleEndian(_ number: UInt64) -> [UInt8] { number.bigEndianBytes.reversed() }
}
