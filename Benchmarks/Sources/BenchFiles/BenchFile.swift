import Foundation
import VirtMem

/// A block file over one plain file, for measuring the engine alone.
package final class BenchFile: BigFile {
    /// How blocks are had.
    package enum Mode: Sendable {
        /// Block n is an extent of the file, `shift` bytes after where it would be aligned.
        case extents(shift: Int)
        /// Backwards: no two blocks share a kernel mapping.
        case scattered
        /// Through `loadblk`, which does nothing.
        case load
    }

    package let blockSize: Int
    package let description = "benchmark file"
    package let descriptor: Int32
    package let count: Int
    private let mode: Mode

    /// A file of `count` blocks at `path`, removed at once unless it is to stay.
    package init(_ path: String, count: Int, blockSize: Int = 2 << 20, mode: Mode) throws {
        self.blockSize = blockSize
        self.count = count
        self.mode = mode
        descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    deinit { close(descriptor) }

    /// Fills a new file with real bytes: a hole would be served by other means.
    package func fill() throws {
        var status = stat()
        fstat(descriptor, &status)
        let length = (count + 1) * blockSize
        if status.st_size == length { return }
        // More than 2 MiB at a time, so that the page cache holds it in pieces of that size:
        // in smaller ones the first touch of a block takes twice as long.
        let part = [UInt8](repeating: 1, count: 4 << 20)
        var at = 0
        while at < length {
            let written = pwrite(descriptor, part, min(part.count, length - at), off_t(at))
            guard written > 0 else { throw CocoaError(.fileWriteOutOfSpace) }
            at += written
        }
        // Now, so that the system does not write it out while something is measured.
        guard fsync(descriptor) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    package func loadblk(_ blk: Int, into buffer: UnsafeMutableRawBufferPointer) throws {}
    package func storeblk(_ blk: Int, bytes: UnsafeRawBufferPointer, changed: PageSet) throws {}

    package func sources(of blks: Range<Int>) throws -> [BlockSource] {
        blks.map { blk in
            guard blk < count else { return .hole }
            let offset: Int
            switch mode {
            case .load: return .load
            case .extents(let shift): offset = blk * blockSize + shift
            case .scattered: offset = (count - 1 - blk) * blockSize
            }
            return .extents([FileExtent(descriptor: descriptor, fileOffset: offset, length: blockSize)])
        }
    }
}
