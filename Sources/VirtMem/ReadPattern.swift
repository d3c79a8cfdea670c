/// Recognises read faults that follow each other, forwards or backwards, of a few
/// readers at a time, and says how many blocks to take along.
struct ReadPattern {
    /// Blocks taken along with one that continues nothing, and in sequence, where each
    /// takes a kernel mapping of its own; and where they share some.
    static let groupSize = 16
    private static let maxReadAhead = 64
    private static let mostOfGroup = 128
    private static let mostOfSequence = 512
    private static let mostStreams = 4

    private struct Stream {
        /// The blocks after and before those loaded last.
        var next: Int
        var previous: Int
        var readAhead: Int
    }

    /// The one that had the last fault comes last.
    private var streams: [Stream] = []
    /// Blocks that shared mappings, and how many, at the last fault.
    private var blocks = 1
    private var mappings = 1

    private func extended(_ size: Int, _ most: Int) -> Int {
        min(max(size, size * blocks / mappings), most)
    }

    /// Notes how many calls mapped the blocks of a fault: where one maps many of them, as of a large
    /// record, more are worth taking along.
    mutating func note(blocks: Int, mappings: Int) {
        if mappings > 0 { (self.blocks, self.mappings) = (blocks, mappings) }
    }

    /// The blocks worth loading with `block`, at most `most`, and whether it continues
    /// a sequence. The caller tells with ``continues(next:previous:)`` where it ended.
    mutating func blocks(with block: Int, most: Int) -> (wanted: Range<Int>, isSequential: Bool) {
        let found = streams.firstIndex { $0.next == block || $0.previous == block }
        guard let found else {
            if streams.count == Self.mostStreams { streams.removeFirst() }
            let size = max(1, min(extended(Self.groupSize, Self.mostOfGroup), most))
            streams.append(Stream(next: block, previous: block, readAhead: size))
            let start = block / size * size
            return (start..<(start + size), false)
        }
        var stream = streams.remove(at: found)
        let limit = extended(Self.maxReadAhead, Self.mostOfSequence)
        stream.readAhead = max(1, min(stream.readAhead * 2, limit, most))
        streams.append(stream)
        if stream.next == block { return (block..<(block + stream.readAhead), true) }
        return (max(0, block + 1 - stream.readAhead)..<(block + 1), true)
    }

    /// Where the sequence of the last fault goes on, in either direction.
    mutating func continues(next: Int, previous: Int) {
        guard !streams.isEmpty else { return }
        streams[streams.count - 1].next = next
        streams[streams.count - 1].previous = previous
    }
}
