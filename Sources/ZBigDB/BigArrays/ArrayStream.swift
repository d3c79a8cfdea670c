internal import VirtMem

/// Goes through the blocks of an array file as its connection sees them.
struct ArrayStream {
    /// Blocks whose recipes are looked up at once, and whose bytes are asked for ahead: bytes.
    private static let windowBytes = 32 << 20
    private static let mostPiece = 2 << 20
    private static let zeros = [UInt8](repeating: 0, count: mostPiece)

    private let memory: FileHandle
    private let snapshot: any StorageSnapshot
    private let oid: OID
    private let blockSize: Int
    /// Blocks that this transaction changed come from memory.
    private let changed: Set<Int>
    private let droppedFrom: Int

    init(_ file: ZBigFile, _ memory: FileHandle) throws {
        guard let connection = file.connection, let oid = file.oid else {
            throw DatabaseError.notAdded(name: file.objectLabel)
        }
        self.memory = memory
        self.oid = oid
        snapshot = try connection.snapshot
        blockSize = file.blockSize
        (changed, droppedFrom) = file.changedBlocks
    }

    func run(_ bytes: Range<Int>, _ body: (Int, UnsafeRawBufferPointer) throws -> Void) throws {
        let window = max(Self.windowBytes / blockSize, 1)
        let blocks = (bytes.lowerBound / blockSize)..<((bytes.upperBound - 1) / blockSize + 1)
        var next = try recipes(blocks.lowerBound, window, blocks)
        willRead(next)
        for start in stride(from: blocks.lowerBound, to: blocks.upperBound, by: window) {
            let current = next
            next = try recipes(start + window, window, blocks)
            willRead(next)
            for block in start..<min(start + window, blocks.upperBound) {
                let part = (block * blockSize..<(block + 1) * blockSize).clamped(to: bytes)
                if changed.contains(block) || block >= droppedFrom {
                    try unsafe memory.withUnsafeBytes(of: part) {
                        try unsafe Self.cut(part.lowerBound, $0, body)
                    }
                } else {
                    unsafe try stream(current[block] ?? BlockRecipe(), block, part, body)
                }
            }
        }
    }

    /// In the order of blocks, in which they will be read.
    private func willRead(_ recipes: [Int: BlockRecipe]) {
        snapshot.willRead(recipes.sorted { $0.key < $1.key }.map(\.value))
    }

    private func recipes(_ start: Int, _ count: Int, _ blocks: Range<Int>) throws -> [Int: BlockRecipe] {
        let range = (start..<(start + count)).clamped(to: blocks)
        if range.isEmpty { return [:] }
        let from = UInt64(range.lowerBound).bigEndianBytes
        var found: [Int: BlockRecipe] = [:]
        for record in try snapshot.parts(of: oid, from: from, limit: range.count) {
            if let block = record.key.block, range.contains(block) { found[block] = record.value.recipe }
        }
        return found
    }

    /// Hands out what is stored, and zeros in between.
    private func stream(
        _ recipe: BlockRecipe, _ block: Int, _ part: Range<Int>,
        _ body: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var at = part.lowerBound
        let start = block * blockSize
        let isStreamed = try unsafe snapshot.withPieces(recipe) { offset, piece in
            let place = (start + offset)..<(start + offset + piece.count)
            let wanted = place.clamped(to: part)
            if wanted.isEmpty { return }
            unsafe try Self.zeros(at..<wanted.lowerBound, body)
            let inside = (wanted.lowerBound - place.lowerBound)..<(wanted.upperBound - place.lowerBound)
            try unsafe Self.cut(wanted.lowerBound, UnsafeRawBufferPointer(rebasing: piece[inside]), body)
            at = wanted.upperBound
        }
        if isStreamed { return unsafe try Self.zeros(at..<part.upperBound, body) }
        try unsafe memory.withUnsafeBytes(of: part) { try unsafe Self.cut(part.lowerBound, $0, body) }
    }

    private static func cut(
        _ offset: Int, _ bytes: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for start in stride(from: 0, to: bytes.count, by: mostPiece) {
            let piece = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[start..<min(start + mostPiece, bytes.count)])
            try unsafe body(offset + start, piece)
        }
    }

    private static func zeros(_ range: Range<Int>, _ body: (Int, UnsafeRawBufferPointer) throws -> Void)
        throws
    {
        try unsafe zeros.withUnsafeBytes { zeros in
            for start in stride(from: range.lowerBound, to: range.upperBound, by: mostPiece) {
                let count = min(mostPiece, range.upperBound - start)
                try unsafe body(start, UnsafeRawBufferPointer(rebasing: zeros[..<count]))
            }
        }
    }
}
