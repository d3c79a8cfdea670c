import Foundation

/// What of a file is in memory already.
enum PageCache {
    /// Reads the file once, so that all of it is.
    static func warm(_ path: String) {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while read(descriptor, &buffer, buffer.count) > 0 {}
    }

    /// Drops the file, if nobody has it mapped; as root whatever is left with everything else's pages.
    static func drop(_ path: String) {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // Only what is written already can be dropped.
        fsync(descriptor)
        posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
        if residentFraction(path) < 0.01 { return }
        let control = open("/proc/sys/vm/drop_caches", O_WRONLY)
        guard control >= 0 else {
            say("cannot drop \(path) from the page cache without root: measuring warm")
            return
        }
        defer { close(control) }
        sync()
        write(control, "1", 1)
    }

    /// Touches free memory, so that whoever needs it next finds it there: a virtual machine gives
    /// free large pages back to its host, and who takes them first waits for the host.
    static func takeMemory(_ bytes: Int) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else {
            return
        }
        defer { munmap(base, bytes) }
        madvise(base, bytes, Int32(MADV_HUGEPAGE))
        for page in stride(from: 0, to: bytes, by: 4096) {
            base.storeBytes(of: 1, toByteOffset: page, as: UInt8.self)
        }
    }

    /// How much of the file is in memory, from 0 to 1.
    static func residentFraction(_ path: String) -> Double {
        let bytes = fileSize(path)
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0, bytes > 0 else { return 0 }
        defer { close(descriptor) }
        guard let base = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
            return 0
        }
        defer { munmap(base, bytes) }
        var pages = [UInt8](repeating: 0, count: (bytes + 4095) / 4096)
        guard mincore(base, bytes, &pages) == 0 else { return 0 }
        return Double(pages.count { $0 & 1 == 1 }) / Double(pages.count)
    }
}
