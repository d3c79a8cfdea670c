internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// The page map, if the kernel offers it and nobody switched it off.
final class PageMapSource: Sendable {
    private let opened = KernelPageMap()
    private let isOn = Atomic(true)

    /// Switched off, changed pages are found by comparison. For tests.
    var isEnabled: Bool {
        get { isOn.load(ordering: .relaxed) }
        set { isOn.store(newValue, ordering: .relaxed) }
    }

    var isAvailable: Bool { isEnabled && opened != nil }

    /// The written pages of `length` bytes at `address`, or nil if they cannot be told.
    func writtenPages(_ address: UnsafeRawPointer, _ length: Int) -> PageSet? {
        isEnabled ? unsafe opened?.writtenPages(address, length) : nil
    }

    /// Whether the page at `address` has a page-table entry; nil if that cannot be told.
    func isPresent(_ address: UInt) -> Bool? { isEnabled ? opened?.isPresent(address) : nil }
}

/// Finds the pages of a private file mapping that were written.
///
/// `/proc/self/pagemap` has a 64-bit entry a page (proc_pid_pagemap(5)): bit 63
/// says present, bit 62 swapped, bit 61 backed by a file. A page that is there
/// and not backed by its file is a private copy, that is, it was written.
struct KernelPageMap: Sendable {
    private static let present: UInt64 = 1 << 63
    private static let swapped: UInt64 = 1 << 62
    private static let fileBacked: UInt64 = 1 << 61

    private let descriptor: Int32

    /// Nil where the kernel does not offer the page map.
    init?() {
        descriptor = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    func isPresent(_ address: UInt) -> Bool? {
        var entry: UInt64 = 0
        let place = off_t(address / UInt(systemPageSize) * 8)
        guard unsafe pread(descriptor, &entry, 8, place) == 8 else { return nil }
        return entry & Self.present != 0
    }

    /// The written pages of `length` bytes at `address`, or nil if they cannot be told.
    func writtenPages(_ address: UnsafeRawPointer, _ length: Int) -> PageSet? {
        let count = length / systemPageSize
        var set = PageSet(pageCount: count)
        let first = UInt(bitPattern: address) / UInt(systemPageSize)
        let bytes = count * 8
        let read = unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { entries -> Bool in
            let got = unsafe pread(descriptor, entries.baseAddress, bytes, off_t(first * 8))
            guard got == bytes else { return false }
            for page in 0..<count {
                let entry = unsafe entries[page]
                if entry & (Self.present | Self.swapped) != 0 && entry & Self.fileBacked == 0 {
                    set.insert(page)
                }
            }
            return true
        }
        return read ? set : nil
    }
}
