internal import CZstd
internal import Dispatch

/// Runs of bytes as frames of zstd, which several threads can work on at once.
enum Zstd {
    /// Content of a frame: bytes.
    static let frameBytes = 512 << 10
    /// Contexts of higher levels take too much memory to be kept.
    private static let mostKeptLevel = 9

    fileprivate static let compressors = Pool<Compressor>(keeping: 4)
    fileprivate static let decompressors = Pool<Decompressor>(keeping: 8)

    /// The frames; nil if they have more than `limit` bytes.
    static func compress(_ source: UnsafeRawBufferPointer, level: Int, limit: Int) -> ZstdFrames? {
        let count = (source.count + frameBytes - 1) / frameBytes
        if count == 0 { return nil }
        let stride = ZSTD_compressBound(min(source.count, frameBytes))
        let scratch = Scratch(count * stride)
        let sizes = unsafe scratch.withBytes { target in
            unsafe [Int](unsafeUninitializedCapacity: count) { sizes, filled in
                let job = unsafe CompressJob(
                    source: source, target: target, stride: stride, sizes: sizes, level: level)
                each(count) { unsafe job.run($0) }
                filled = count
            }
        }
        let frames = ZstdFrames(scratch: scratch, stride: stride, sizes: sizes)
        return sizes.contains(0) || frames.count > limit ? nil : frames
    }

    /// Fills `target` with the content of frames, which must have just its length.
    static func decompress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer)
        throws(ZBlkHeader.Damage)
    {
        let places = unsafe try frames(source, target.count)
        let sizes = unsafe [Int](unsafeUninitializedCapacity: places.count) { sizes, filled in
            let job = unsafe DecompressJob(source: source, target: target, places: places, sizes: sizes)
            each(places.count) { unsafe job.run($0) }
            filled = places.count
        }
        for (place, size) in zip(places, sizes) where size != place.content.count {
            throw ZBlkHeader.Damage("its compressed data cannot be read")
        }
    }

    /// Where the frames of `source` are, and where their content belongs.
    private static func frames(_ source: UnsafeRawBufferPointer, _ length: Int)
        throws(ZBlkHeader.Damage) -> [FramePlace]
    {
        var places: [FramePlace] = []
        var (from, to) = (0, 0)
        while from < source.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: source[from...])
            guard let frame = rest.baseAddress else { break }
            let size = unsafe ZSTD_findFrameCompressedSize(frame, rest.count)
            var content = 0
            guard ZSTD_isError(size) == 0, unsafe czstd_content_size(frame, rest.count, &content) != 0,
                content > 0
            else { throw ZBlkHeader.Damage("its compressed data are no zstd frames") }
            guard content <= length - to else {
                throw ZBlkHeader.Damage("its compressed data are longer than its pages")
            }
            places.append(FramePlace(frame: from..<(from + size), content: to..<(to + content)))
            (from, to) = (from + size, to + content)
        }
        if to != length { throw ZBlkHeader.Damage("its compressed data are shorter than its pages") }
        return places
    }

    private static func each(_ count: Int, _ body: @Sendable (Int) -> Void) {
        if count == 1 { body(0) } else { DispatchQueue.concurrentPerform(iterations: count, execute: body) }
    }

    fileprivate static func keep(_ compressor: Compressor, _ level: Int) {
        if level <= mostKeptLevel { compressors.put(compressor) }
    }
}

/// Frames, each at its place in memory that is larger.
@safe
struct ZstdFrames: Sendable {
    fileprivate let scratch: Scratch
    fileprivate let stride: Int
    fileprivate let sizes: [Int]

    /// Bytes of all.
    var count: Int { sizes.reduce(0, +) }

    /// Copies them to the beginning of `target`, one after the other.
    func copy(to target: UnsafeMutableRawBufferPointer) {
        unsafe scratch.withBytes { bytes in
            var at = 0
            for (index, size) in sizes.enumerated() {
                let start = index * stride
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[at..<(at + size)]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + size)]))
                at += size
            }
        }
    }
}

private struct FramePlace {
    let frame: Range<Int>
    let content: Range<Int>
}

/// `@unchecked Sendable`: each frame has its own part of what is written.
@unsafe
private struct CompressJob: @unchecked Sendable {
    let source: UnsafeRawBufferPointer
    let target: UnsafeMutableRawBufferPointer
    let stride: Int
    /// 0 for what failed.
    let sizes: UnsafeMutableBufferPointer<Int>
    let level: Int

    func run(_ frame: Int) {
        let start = frame * Zstd.frameBytes
        let end = unsafe min(start + Zstd.frameBytes, source.count)
        unsafe sizes[frame] = 0
        guard let compressor = Zstd.compressors.take() ?? Compressor(),
            let from = unsafe source.baseAddress, let to = unsafe target.baseAddress
        else { return }
        let size = unsafe ZSTD_compressCCtx(
            compressor.context, to + frame * stride, stride, from + start, end - start, Int32(level))
        if ZSTD_isError(size) == 0 { unsafe sizes[frame] = size }
        unsafe Zstd.keep(compressor, level)
    }
}

/// `@unchecked Sendable`: each frame has its own part of what is written.
@unsafe
private struct DecompressJob: @unchecked Sendable {
    let source: UnsafeRawBufferPointer
    let target: UnsafeMutableRawBufferPointer
    let places: [FramePlace]
    /// -1 for what failed.
    let sizes: UnsafeMutableBufferPointer<Int>

    func run(_ index: Int) {
        let place = unsafe places[index]
        unsafe sizes[index] = -1
        guard let decompressor = Zstd.decompressors.take() ?? Decompressor(),
            let from = unsafe source.baseAddress, let to = unsafe target.baseAddress
        else { return }
        let size = unsafe ZSTD_decompressDCtx(
            decompressor.context, to + place.content.lowerBound, place.content.count,
            from + place.frame.lowerBound, place.frame.count)
        if ZSTD_isError(size) == 0 { unsafe sizes[index] = size }
        Zstd.decompressors.put(decompressor)
    }
}

/// `@unchecked Sendable`: the pool hands it to one at a time.
@safe
private final class Compressor: @unchecked Sendable {
    let context: OpaquePointer

    init?() {
        guard let context = unsafe ZSTD_createCCtx() else { return nil }
        unsafe self.context = unsafe context
    }

    deinit { unsafe ZSTD_freeCCtx(context) }
}

/// `@unchecked Sendable`: the pool hands it to one at a time.
@safe
private final class Decompressor: @unchecked Sendable {
    let context: OpaquePointer

    init?() {
        guard let context = unsafe ZSTD_createDCtx() else { return nil }
        unsafe self.context = unsafe context
    }

    deinit { unsafe ZSTD_freeDCtx(context) }
}
