internal import CVirtMem

/// One snapshot of a file, mapped.
///
/// The handle owns one range of addresses; block `n` of the file lies
/// `n * blockSize` bytes into it. Blocks are loaded when they are touched, or
/// before that by scoped access; a first write makes a block dirty; dirty
/// blocks are stored by ``writeout(_:)`` or dropped by ``discard()``. Everything
/// that looks at the file through this handle sees the same memory, so all
/// views of it alias.
///
/// A handle may be used by several threads, with the exceptions that each
/// method names. Two handles on one file are separate snapshots.
public final class FileHandle: Sendable {
    /// Address space reserved unless asked otherwise: 64 GiB. It costs no memory.
    public static let defaultReservation = 64 << 30

    /// The file it shows.
    public let file: any BigFile
    /// Bytes in a block.
    public let blockSize: Int
    /// Bytes of address space: the part of the file that can be reached.
    public let reservedBytes: Int

    let engine: Engine
    let id: UInt32
    /// The file's description when the handle was opened.
    let name: String
    private let base: UInt

    /// Opens a handle that can reach the first `bytes` bytes of `file`.
    ///
    /// - Parameters:
    ///   - file: where the blocks come from and are stored.
    ///   - bytes: of address space to reserve; ``reservedBytes`` says what became of it.
    ///   - dirtyBudget: what the changes of this handle count in, together
    ///     with those of other handles; nil means that changes may fill the memory.
    /// - Throws: ``VirtMemError/invalidBlockSize(file:blockSize:pageSize:)`` or
    ///   ``VirtMemError/outOfMemory(doing:errno:)``.
    public init(
        _ file: any BigFile, reserving bytes: Int = FileHandle.defaultReservation,
        dirtyBudget: DirtyBudget? = nil
    ) throws(VirtMemError) {
        let blockSize = file.blockSize
        guard blockSize > 0, blockSize % systemPageSize == 0 else {
            throw .invalidBlockSize(file: file.description, blockSize: blockSize, pageSize: systemPageSize)
        }
        let range = try AddressRange(reserving: bytes)
        self.file = file
        let name = file.description
        self.name = name
        self.blockSize = blockSize
        reservedBytes = range.length / blockSize * blockSize
        base = unsafe UInt(bitPattern: range.base)
        let engine = try Engine.shared()
        try engine.refuseInChild(name)
        self.engine = engine
        let budget = dirtyBudget ?? DirtyBudget(bytes: .max)
        id = try engine.makeHandle(file, name: name, blockSize, range, budget)
    }

    deinit { if !isForkedChild() { engine.locked { $0.close(id) } } }

    /// The address of byte 0.
    ///
    /// Memory at and after it may be touched as long as the handle lives, with
    /// these rules: a load that fails ends the process with a message, and a
    /// system call given such memory may fail with `EFAULT`. Scoped access has
    /// neither limit.
    public var baseAddress: UnsafeMutableRawPointer {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: base) else {
            preconditionFailure("a reservation never begins at address zero")
        }
        return unsafe pointer
    }

    /// Whether any block is dirty.
    public var isDirty: Bool { !isForkedChild() && engine.locked { $0.handles[id]?.dirty.isEmpty == false } }

    /// The dirty blocks, ascending.
    public var dirtyBlocks: [Int] {
        isForkedChild() ? [] : engine.locked { $0.handles[id]?.dirty.sorted() ?? [] }
    }

    /// How many blocks are loaded or dirty.
    public var residentBlocks: Int {
        engine.locked { state in
            var count = 0
            state.handles[id]?.blocks.forEach { _, block in count += block.state == .loading ? 0 : 1 }
            return count
        }
    }

    /// A window of `blocks`, which keeps the handle alive and open.
    ///
    /// - Throws: ``VirtMemError/outOfReservation(file:bytes:reserved:)`` or ``VirtMemError/closed(file:)``.
    public func window(_ blocks: Range<Int>) throws(VirtMemError) -> Window {
        try engine.refuseInChild(name)
        let (lower, overflow1) = blocks.lowerBound.multipliedReportingOverflow(by: blockSize)
        let (upper, overflow2) = blocks.upperBound.multipliedReportingOverflow(by: blockSize)
        let bytes = overflow1 || overflow2 ? 0..<Int.max : lower..<upper
        try check(bytes)
        try engine.locked { state throws(VirtMemError) in try state.handle(id, name).windows += 1 }
        return Window(handle: self, bytes: bytes)
    }

    /// Closes the handle: loaded and dirty blocks go alike, its memory is given back.
    ///
    /// - Throws: ``VirtMemError/windowsAlive(file:count:)``, ``VirtMemError/accessInProgress(file:action:)``
    ///   (inside a scoped access), ``VirtMemError/loadInProgress(file:)``,
    ///   ``VirtMemError/writeoutInProgress(file:action:)`` (behaviours C2, C3, D10). Closing twice is fine.
    public func close() throws(VirtMemError) {
        try engine.refuseInChild(name)
        do throws(VirtMemError) {
            var busy: Event?
            repeat {
                busy?.wait()
                busy = try engine.lockedBetweenSpills(id, name, to: "close") {
                    state, handle throws(VirtMemError) in
                    try state.refuseDuringWriteout(handle, "close")
                    if handle.activeLoads > 0 || handle.aheadLoaders.contains(currentThread()) {
                        throw .loadInProgress(file: name)
                    }
                    if handle.windows > 0 { throw .windowsAlive(file: name, count: handle.windows) }
                    if handle.hasPins { throw .accessInProgress(file: name, action: "close") }
                    // Nobody asked for these loads, so nobody can know that they are under way.
                    if let event = handle.waitForAheadLoads() { return event }
                    state.close(id)
                    return nil
                }
            } while busy != nil
        } catch {
            if case .closed = error { return }
            throw error
        }
    }

    /// Refuses bytes outside the reservation.
    func check(_ bytes: Range<Int>) throws(VirtMemError) {
        guard bytes.lowerBound >= 0, bytes.upperBound <= reservedBytes else {
            throw .outOfReservation(file: file.description, bytes: bytes, reserved: reservedBytes)
        }
    }
}

/// A part of a handle that somebody points into.
@safe
public final class Window: Sendable {
    /// The handle it belongs to.
    public let handle: FileHandle
    /// The bytes of the file it shows.
    public let bytes: Range<Int>

    init(handle: FileHandle, bytes: Range<Int>) {
        self.handle = handle
        self.bytes = bytes
    }

    deinit { if !isForkedChild() { handle.engine.locked { $0.handles[handle.id]?.windows -= 1 } } }

    /// The address of its first byte. See ``FileHandle/baseAddress`` for the rules.
    public var baseAddress: UnsafeMutableRawPointer { unsafe handle.baseAddress + bytes.lowerBound }
}
