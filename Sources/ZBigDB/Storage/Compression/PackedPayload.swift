internal import VirtMem

/// The pages of one block record, compressed.
struct PackedPayload: Sendable {
    /// What is tried in order to choose between shuffled and not: bytes. Which of them is better is
    /// seen in this, and differs by a factor.
    private static let sampleBytes = 64 << 10

    let codec: BlockCodec
    private let frames: ZstdFrames

    /// Bytes, without the zeros that fill the last page.
    var size: Int { frames.count }
    /// Pages they take.
    var pageCount: Int { (size + systemPageSize - 1) / systemPageSize }

    /// Nil if it does not pay: fewer pages by an eighth at least.
    init?(_ bytes: UnsafeRawBufferPointer, _ pages: [Range<Int>], _ compression: BlockCompression) {
        let count = pages.reduce(0) { $0 + $1.count }
        let limit = count * 7 / 8 * systemPageSize
        if limit == 0 { return nil }
        let packed = unsafe Self.withContent(bytes, pages, count) { content in
            let isShuffled = unsafe Self.helpsShuffling(content, compression)
            return unsafe Self.compress(content, compression, isShuffled: isShuffled, limit: limit)
                .map { (frames: $0, isShuffled: isShuffled) }
        }
        guard let packed else { return nil }
        codec = packed.isShuffled ? .shuffledZstd : .zstd
        frames = packed.frames
    }

    private static func compress(
        _ content: UnsafeRawBufferPointer, _ compression: BlockCompression, isShuffled: Bool, limit: Int
    ) -> ZstdFrames? {
        if !isShuffled { return unsafe Zstd.compress(content, level: compression.level, limit: limit) }
        return unsafe Scratch(content.count).withBytes { shuffled in
            unsafe Shuffle.split(content, to: shuffled, elementSize: compression.elementSize)
            return unsafe Zstd.compress(
                UnsafeRawBufferPointer(shuffled), level: compression.level, limit: limit)
        }
    }

    /// Whether a sample from the middle gets smaller with shuffled bytes than without.
    private static func helpsShuffling(_ content: UnsafeRawBufferPointer, _ compression: BlockCompression)
        -> Bool
    {
        let size = compression.elementSize
        if size == 1 { return false }
        let length = min(content.count, sampleBytes)
        let start = (content.count - length) / 2 / size * size
        let sample = unsafe UnsafeRawBufferPointer(rebasing: content[start..<(start + length)])
        let shuffled = unsafe compress(sample, compression, isShuffled: true, limit: .max)
        let plain = unsafe compress(sample, compression, isShuffled: false, limit: .max)
        guard let shuffled, let plain else { return false }
        return shuffled.count < plain.count
    }

    /// Fills `payload`, which has the pages it takes.
    func copy(to payload: UnsafeMutableRawBufferPointer) {
        unsafe frames.copy(to: payload)
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: payload[size...])
        _ = unsafe rest.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Runs `body` with the pages one after the other: where they are if they lie so, otherwise copied.
    private static func withContent<R>(
        _ block: UnsafeRawBufferPointer, _ pages: [Range<Int>], _ count: Int,
        _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        let size = systemPageSize
        func bytes(_ run: Range<Int>) -> UnsafeRawBufferPointer {
            unsafe UnsafeRawBufferPointer(rebasing: block[(run.lowerBound * size)..<(run.upperBound * size)])
        }
        if pages.count == 1, let run = pages.first { return unsafe body(bytes(run)) }
        return unsafe Scratch(count * size).withBytes { copy in
            var at = 0
            for run in pages {
                let target = unsafe copy[at..<(at + run.count * size)]
                unsafe UnsafeMutableRawBufferPointer(rebasing: target).copyMemory(from: bytes(run))
                at += run.count * size
            }
            return unsafe body(UnsafeRawBufferPointer(copy))
        }
    }
}
