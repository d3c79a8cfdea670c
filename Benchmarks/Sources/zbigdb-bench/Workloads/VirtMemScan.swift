import BenchFiles
import BenchReport
import CKernels
import Foundation
import VirtMem

/// The engine alone over a plain file against plain mmap of the same file: the sum
/// of all elements in order, at first touch and once more.
///
/// `virtmem-unaligned` maps each block from 4 KiB after its place in the file, so
/// that the kernel cannot use 2 MiB page-table entries.
enum VirtMemScan {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let blockSize = RawLMDB.blockBytes
        let blocks = (setup.bytes + blockSize - 1) / blockSize
        let shift = system == "virtmem-unaligned" ? 4096 : 0
        let path = setup.folder + "/virtmem-plain"
        let file = try BenchFile(path, count: blocks, mode: .extents(shift: shift))
        try file.fill()
        PageCache.warm(path)

        let passes: [Double]
        if system == "plain-mmap" {
            passes = try PlainFile.withElements(path) { base, _ in twice(base, setup.count) }
        } else {
            let handle = try VirtMem.FileHandle(file)
            passes = twice(handle.baseAddress.assumingMemoryBound(to: Double.self), setup.count)
            try handle.close()
        }
        return zip(["first", "second"], passes).map { name, seconds in
            Measurement(
                system, "virtmem-scan", seconds: seconds, bytes: setup.bytes, params: ["case": .text(name)])
        }
    }

    private static func twice(_ base: UnsafePointer<Double>, _ count: Int) -> [Double] {
        var sums: [Double] = []
        let seconds = (0..<2).map { _ in
            let (sum, seconds) = timed { kernels_sum(base, count) }
            sums.append(sum)
            return seconds
        }
        precondition(sums[0] == sums[1], "two passes over one file differ")
        return seconds
    }
}
