import BenchFiles
import Benchmark
import CKernels
import Foundation
import VirtMem

// What the engine's own steps cost, over 1 GiB in blocks of 2 MiB of a file whose
// pages are in the page cache. The number at the end of a name says how many steps
// one measurement holds.
//
//   swift package --package-path Benchmarks benchmark --target VirtMemBenchmarks

private let blocks = 512

/// Where the blocks are: a file that has lost its name, so that it goes with the process.
private let path: String = {
    var template = Array((NSTemporaryDirectory() + "virtmem-benchmark-XXXXXX").utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { fatalError("no temporary file: \(String(cString: strerror(errno)))") }
    unlink(template)
    return "/proc/self/fd/\(descriptor)"
}()

/// One block of each group of neighbours that a read fault may take along. With
/// the others loaded, each of them takes a fault of its own.
private let apart = Array(stride(from: 7, to: blocks, by: 16))

private func makeHandle(_ mode: BenchFile.Mode) throws -> VirtMem.FileHandle {
    let file = try BenchFile(path, count: blocks, mode: mode)
    try file.fill()
    return try VirtMem.FileHandle(file)
}

@inline(never)
private func touch(_ handle: VirtMem.FileHandle, _ numbers: some Sequence<Int>) {
    for number in numbers {
        blackHole(handle.baseAddress.load(fromByteOffset: number * handle.blockSize, as: UInt8.self))
    }
}

@inline(never)
private func change(_ handle: VirtMem.FileHandle, _ numbers: some Sequence<Int>) {
    for number in numbers {
        handle.baseAddress.storeBytes(of: 1, toByteOffset: number * handle.blockSize, as: UInt8.self)
    }
}

private func measure(_ benchmark: Benchmark, _ body: () throws -> Void) rethrows {
    benchmark.startMeasurement()
    try body()
    benchmark.stopMeasurement()
}

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock], warmupIterations: 1, maxDuration: .seconds(3), maxIterations: 100)

    Benchmark("read-fault-extent-x32") { benchmark in
        let handle = try makeHandle(.scattered)
        touch(handle, 0..<blocks)
        try handle.invalidate(apart)
        measure(benchmark) { touch(handle, apart) }
    }

    // What a fault costs with a signal handler that maps the block and knows nothing else: the machine's part.
    Benchmark("read-fault-bare-x32") { benchmark in
        let file = try BenchFile(path, count: blocks, mode: .extents(shift: 0))
        try file.fill()
        guard kernels_bare_begin(file.descriptor, file.blockSize, apart.count) else {
            throw CocoaError(.featureUnsupported)
        }
        measure(benchmark) { kernels_bare_touch() }
        kernels_bare_end()
    }

    Benchmark("read-fault-extent-grouped-x512") { benchmark in
        let handle = try makeHandle(.scattered)
        measure(benchmark) { touch(handle, 0..<blocks) }
    }

    Benchmark("read-fault-extent-grouped-joined-x512") { benchmark in
        let handle = try makeHandle(.extents(shift: 0))
        measure(benchmark) { touch(handle, 0..<blocks) }
    }

    // An empty loader: what is left is the frame, cleared.
    Benchmark("read-fault-loadblk-x32") { benchmark in
        let handle = try makeHandle(.load)
        touch(handle, apart)
        try handle.invalidate(apart)
        measure(benchmark) { touch(handle, apart) }
    }

    // The blocks are loaded; the first write makes each dirty, and the kernel copies a page.
    Benchmark("write-fault-x512") { benchmark in
        let handle = try makeHandle(.scattered)
        touch(handle, 0..<blocks)
        measure(benchmark) { change(handle, 0..<blocks) }
    }

    Benchmark("invalidate-x32") { benchmark in
        let handle = try makeHandle(.scattered)
        touch(handle, 0..<blocks)
        try measure(benchmark) { for number in apart { try handle.invalidate(CollectionOfOne(number)) } }
    }

    Benchmark("discard-512-blocks-x1") { benchmark in
        let handle = try makeHandle(.scattered)
        change(handle, 0..<blocks)
        try measure(benchmark) { try handle.discard() }
    }

    // Finding the changed pages of 1 GiB of dirty blocks, one page changed in each.
    Benchmark("dirty-scan-1GiB-x1") { benchmark in
        let handle = try makeHandle(.scattered)
        change(handle, 0..<blocks)
        try measure(benchmark) { try handle.writeout(.store) }
    }

    Benchmark("scoped-access-present-x1000") { benchmark in
        let handle = try makeHandle(.scattered)
        touch(handle, 0..<blocks)
        try measure(benchmark) {
            for index in 0..<1000 {
                let at = index % blocks * handle.blockSize
                try handle.withUnsafeBytes(of: at..<(at + 8)) { blackHole($0[0]) }
            }
        }
    }

    // The block map by itself: the engine's own source, compiled in here.
    Benchmark("block-map-look-up-x1000000") { benchmark in
        var map = BlockMap<Int>(capacity: 1 << 25)
        for number in 0..<1_000_000 { map[number] = number }
        measure(benchmark) {
            var sum = 0
            var number = 1
            for _ in 0..<1_000_000 {
                number = number &* 7919 & ((1 << 20) - 1)
                sum &+= map[number] ?? 1
            }
            blackHole(sum)
        }
    }
}
