import CKernels
import Foundation

/// The baseline that no database can beat: mmap of a plain file.
enum PlainMap {
    static func create(_ path: String, count: Int, commitEvery: Int) throws {
        let bytes = count * 8
        let fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        guard fd >= 0, ftruncate(fd, off_t(bytes)) == 0 else { throw BenchError("cannot create \(path)") }
        defer { close(fd) }
        let base = try map(fd, bytes, PROT_READ | PROT_WRITE)
        defer { munmap(base, bytes) }
        var at = 0
        while at < count {
            let part = min(commitEvery / 8, count - at)
            kernels_fill((base + at * 8).assumingMemoryBound(to: Double.self), at, part)
            msync(base + at * 8, part * 8, MS_SYNC)
            at += part
        }
    }

    static func withElements<R>(_ path: String, _ body: (UnsafePointer<Double>, Int) throws -> R) throws -> R
    {
        let bytes = fileSize(path)
        let fd = open(path, O_RDONLY)
        guard fd >= 0 else { throw BenchError("cannot open \(path)") }
        defer { close(fd) }
        let base = try map(fd, bytes, PROT_READ)
        defer { munmap(base, bytes) }
        return try body(UnsafePointer(base.assumingMemoryBound(to: Double.self)), bytes / 8)
    }

    private static func map(_ fd: Int32, _ bytes: Int, _ protection: Int32) throws -> UnsafeMutableRawPointer
    {
        guard let base = mmap(nil, bytes, protection, MAP_SHARED, fd, 0), base != MAP_FAILED else {
            throw BenchError("mmap failed")
        }
        return base
    }
}
