internal import VirtMem

/// The stored bytes of an array: a block size, and blocks by number.
///
/// Several arrays may lie in one file; usually each has its own.
public final class ZBigFile: PersistentObject {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.ZBigFile" }
    override var isSticky: Bool { true }

    /// Bytes in a block.
    public private(set) var blockSize: Int
    /// How its blocks are compressed.
    public private(set) var compression: ArrayCompression

    private var backend: ArrayBackend?
    private var handle: FileHandle?

    /// A file without blocks.
    public init(blockSize: Int, compression: ArrayCompression = .none) {
        self.blockSize = blockSize
        self.compression = compression
        super.init()
    }

    override class func ghost(_ oid: OID) -> PersistentObject { ZBigFile(ghost: oid) }

    override init(ghost oid: OID) {
        blockSize = 0
        compression = .none
        super.init(ghost: oid)
    }

    override func encodeState(_ writer: inout CBORWriter, _ references: ReferenceEncoder) throws {
        writer.map(compression == .none ? 1 : 2)
        writer.text("blockSize")
        writer.integer(blockSize)
        if compression == .none { return }
        writer.text("compression")
        writer.text(compression.description)
    }

    override func decodeState(_ reader: inout CBORReader, _ references: ReferenceDecoder) throws {
        var compression = ArrayCompression.none
        for _ in 0..<(try reader.map()) {
            switch try reader.text() {
            case "blockSize":
                blockSize = try reader.integer()
                guard blockSize > 0, blockSize % systemPageSize == 0, blockSize <= 1 << 30 else {
                    throw CBORReader.Malformed(description: "a block size of \(blockSize) bytes")
                }
            case "compression":
                let text = try reader.text()
                guard let known = ArrayCompression(text) else {
                    throw CBORReader.Malformed(description: "the unknown compression \"\(text)\"")
                }
                compression = known
            default: try reader.skip()
            }
        }
        self.compression = compression
    }

    /// The mapped memory of this file, opened at first use, reaching at least `bytes` bytes.
    ///
    /// - Throws: `VirtMemError.outOfReservation` if it is open with
    ///   less, ``DatabaseError/notAdded(name:)``.
    func memory(reaching bytes: Int, itemSize: Int = 1) throws -> FileHandle {
        backend?.note(itemSize: itemSize)
        if let handle {
            if bytes <= handle.reservedBytes { return handle }
            // Larger than foreseen: as long as nobody points into it, it can move.
            guard !handle.isDirty else { throw tooSmall(handle, bytes) }
            do { try handle.close() } catch { throw tooSmall(handle, bytes) }
            self.handle = nil
        }
        try activate()
        guard let connection, let oid else { throw DatabaseError.notAdded(name: objectLabel) }
        if connection.isClosed { throw DatabaseError.connectionClosed(what: objectLabel) }
        let wished = connection.database.configuration.arrayReservation
        let (doubled, overflow) = bytes.multipliedReportingOverflow(by: 2)
        let backend =
            try self.backend
            ?? ArrayBackend(
                oid: oid, blockSize: blockSize, path: connection.path, box: connection.box,
                ahead: connection.ahead,
                policy: RewritePolicy(keepsHistory: connection.storage.keepsHistory),
                compression: compression)
        backend.note(itemSize: itemSize)
        let handle = try Self.open(
            backend, wished: max(wished, overflow ? bytes : doubled), needed: max(wished, bytes),
            connection.database.dirtyBudget)
        self.backend = backend
        self.handle = handle
        connection.openFiles[oid] = self
        return handle
    }

    /// Reserves what is wished for, or without room to grow what is needed.
    private static func open(_ backend: ArrayBackend, wished: Int, needed: Int, _ budget: DirtyBudget)
        throws(VirtMemError) -> FileHandle
    {
        do throws(VirtMemError) {
            return try FileHandle(backend, reserving: wished, dirtyBudget: budget)
        } catch {
            guard case .outOfMemory = error, needed < wished else { throw error }
            return try FileHandle(backend, reserving: needed, dirtyBudget: budget)
        }
    }

    private func tooSmall(_ handle: FileHandle, _ bytes: Int) -> VirtMemError {
        .outOfReservation(
            file: "\(handle.file) (see arrayReservation)", bytes: 0..<bytes, reserved: handle.reservedBytes)
    }

    /// Whether array memory was changed and not committed.
    var isDirty: Bool { handle?.isDirty ?? false || hasStoredBlocks }

    /// Gives up the bytes from `byte` on: they read as zeros, also if the file grows again.
    func drop(from byte: Int) throws {
        let handle = try memory(reaching: byte)
        try willChange()
        let firstWhole = (byte + blockSize - 1) / blockSize
        if byte < firstWhole * blockSize {
            try unsafe handle.withUnsafeMutableBytes(of: byte..<(firstWhole * blockSize)) { bytes in
                _ = unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
        // In this order: another thread may store dirty blocks ahead, and those would count
        // as written after the cut.
        try handle.invalidate(from: firstWhole)
        backend?.drop(from: firstWhole, cutting: byte / blockSize)
    }

    /// Gives a block of an imported file its bytes, and zeros behind them.
    ///
    /// - Parameter blocks: how many blocks the file will have.
    func fill(_ block: Int, with bytes: [UInt8], blocks: Int) throws {
        let handle = try memory(reaching: blocks * blockSize)
        let start = block * blockSize
        try unsafe handle.withUnsafeMutableBytes(of: start..<(start + bytes.count)) { target in
            unsafe target.copyBytes(from: bytes)
        }
    }

    // MARK: Savepoints

    /// Stores all changes ahead of the commit, and remembers where they are.
    ///
    /// - Throws: `VirtMemError.spillFailed`, and `VirtMemError.accessInProgress` in a scoped access to them.
    func savepoint() throws -> ArrayBackend.Mark? {
        try handle?.spillAll()
        return backend?.mark()
    }

    /// The bytes of a savepoint again; of none: those the transaction began with.
    func rollback(to mark: ArrayBackend.Mark?) throws {
        // As in discard(): changes end first, so that nobody stores them ahead in between.
        try handle?.discard()
        guard let (changed, from) = backend?.restore(mark ?? ArrayBackend.Mark()) else { return }
        try handle?.invalidate(changed)
        if let from { try handle?.invalidate(from: from) }
    }

    // MARK: The commit

    /// Nothing is stored ahead of the commit any more, by no thread.
    func endSpilling() throws { try handle?.endSpilling() }

    func writeOut(_ writer: any BlockWriter) throws {
        backend?.begin(writer)
        try handle?.writeout(.store)
    }

    /// Whether blocks of it were stored in this commit.
    var hasStoredBlocks: Bool { backend?.hasStoredBlocks ?? false }
    /// The first block that this transaction cut, in part or as a whole.
    var cutFrom: Int? { backend?.cutFrom }

    /// The blocks this transaction changed, and the one from which on it dropped them.
    var changedBlocks: (Set<Int>, droppedFrom: Int) {
        let (stored, dropped) = backend?.changedBlocks ?? ([], nil)
        return (stored.union(handle?.dirtyBlocks ?? []), dropped ?? .max)
    }

    func collectBlocks(_ builder: inout CommitBuilder) throws {
        guard let backend else { return }
        builder.writes.append(contentsOf: try backend.drops())
        builder.blockWrites += backend.blockWrites()
        builder.blockEdges += try backend.blockEdges()
    }

    /// What was stored is committed. Cannot fail.
    func markStored() {
        _ = backend?.end()
        do {
            try handle?.writeout(.markStored)
        } catch {
            preconditionFailure("marking blocks stored cannot fail: \(error)")
        }
    }

    func discard() throws {
        try handle?.discard()
        guard let (dropped, ahead) = backend?.end() else { return }
        try handle?.invalidate(ahead)
        if let dropped { try handle?.invalidate(from: dropped) }
    }

    // MARK: The boundary

    func rebase() throws { try handle?.rebase() }

    /// Blocks changed elsewhere. Returns whether a change of ours was lost.
    func invalidate(_ blocks: [Int]) throws -> Bool {
        guard let handle else { return false }
        let isLost = !Set(handle.dirtyBlocks).isDisjoint(with: blocks)
        try handle.invalidate(blocks)
        return isLost
    }

    func invalidateAll() throws -> Bool {
        guard let handle else { return false }
        let isLost = handle.isDirty
        try handle.invalidateAll()
        return isLost
    }

    /// Gives the memory back. Views of it must not be used any more.
    func closeHandle() {
        // Views may still hold it: what they could see is no longer pinned.
        _ = try? handle?.discard()
        _ = try? handle?.invalidateAll()
        _ = try? handle?.close()
        handle = nil
        backend = nil
    }
}
