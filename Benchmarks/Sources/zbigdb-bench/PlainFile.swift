import CKernels
import Foundation

/// The baselines that no database can beat: a plain file, mapped or read and written.
enum PlainFile {
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

    /// The sum of all elements, read in order with `read`, 1 MiB at a time.
    static func sumByReading(_ path: String) throws -> Double {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw BenchError("cannot open \(path)") }
        defer { close(descriptor) }
        let piece = 1 << 20
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: piece, alignment: 4096)
        defer { buffer.deallocate() }
        var sum = 0.0
        while true {
            let got = read(descriptor, buffer, piece)
            guard got > 0 else { return sum }
            sum += kernels_sum(buffer.assumingMemoryBound(to: Double.self), got / 8)
        }
    }

    /// Runs `body` with something that writes bytes at an offset, and something that makes them durable.
    static func writing<R>(
        _ path: String, _ body: ((UnsafeRawBufferPointer, Int) throws -> Void, () throws -> Void) throws -> R
    ) throws -> R {
        let descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        guard descriptor >= 0 else { throw BenchError("cannot open \(path)") }
        defer { close(descriptor) }
        return try body(
            { bytes, offset in
                guard pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) == bytes.count else {
                    throw BenchError("cannot write to \(path)")
                }
            },
            { if fdatasync(descriptor) != 0 { throw BenchError("cannot sync \(path)") } })
    }

    /// Runs `body` with the elements as shared memory, and makes what it changes durable.
    static func changingElements(_ path: String, _ body: (UnsafeMutablePointer<Double>) throws -> Void) throws
    {
        let bytes = fileSize(path)
        let descriptor = open(path, O_RDWR)
        guard descriptor >= 0 else { throw BenchError("cannot open \(path)") }
        defer { close(descriptor) }
        let base = try map(descriptor, bytes, PROT_READ | PROT_WRITE)
        defer { munmap(base, bytes) }
        try body(base.assumingMemoryBound(to: Double.self))
        msync(base, bytes, MS_SYNC)
    }

    private static func map(_ fd: Int32, _ bytes: Int, _ protection: Int32) throws -> UnsafeMutableRawPointer
    {
        guard let base = mmap(nil, bytes, protection, MAP_SHARED, fd, 0), base != MAP_FAILED else {
            throw BenchError("mmap failed")
        }
        return base
    }
}
