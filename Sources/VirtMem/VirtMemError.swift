internal import CVirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// What went wrong in the virtual-memory engine, where, and what to do.
public enum VirtMemError: Error, CustomStringConvertible {
    /// The bytes asked for lie outside the address range the handle reserved.
    /// Open the handle with a larger reservation.
    case outOfReservation(file: String, bytes: Range<Int>, reserved: Int)
    /// The file's block size is no positive multiple of the page size.
    case invalidBlockSize(file: String, blockSize: Int, pageSize: Int)
    /// No flag, or an unknown flag, was given to `writeout`.
    case invalidWriteoutFlags(UInt8)
    /// `loadblk` or the look-up of a block's extents failed with `cause`.
    case loadFailed(file: String, block: Int, cause: any Error)
    /// `storeblk` failed with `cause`; this block and the later ones stay dirty.
    case storeFailed(file: String, block: Int, cause: any Error)
    /// Changes had to leave memory, or were asked to, and `spillblks` failed with
    /// `cause`; this block and others stay dirty.
    case spillFailed(file: String, block: Int, cause: any Error)
    /// The handle is being written out, or the caller is what spills it, and `action` must wait for its end.
    case writeoutInProgress(file: String, action: String)
    /// The handle cannot be closed: a block is being loaded in another thread.
    case loadInProgress(file: String)
    /// The handle cannot be closed: `count` windows on it are still alive.
    case windowsAlive(file: String, count: Int)
    /// A scoped access is under way, and `action` must wait for its end.
    case accessInProgress(file: String, action: String)
    /// The file was cut off under a mapping: the block has no bytes any more.
    case fileCutOff(file: String, block: Int)
    /// The process is a child of `fork()`, which has no service threads.
    case forkedChild(file: String)
    /// The handle is closed.
    case closed(file: String)
    /// The system has no more memory, address space or mappings for this.
    case outOfMemory(doing: String, errno: Int32)
    /// A system call failed in a way that no caller can cause.
    case system(doing: String, errno: Int32)

    /// A sentence for people: what happened, to which file and block, what to do.
    public var description: String {
        switch self {
        case .outOfReservation(let file, let bytes, let reserved):
            return
                "\(file): bytes \(bytes.lowerBound)..<\(bytes.upperBound) lie outside the \(reserved) bytes of "
                + "address space reserved for it; open it with a larger reservation"
        case .invalidBlockSize(let file, let blockSize, let pageSize):
            return "\(file): block size \(blockSize) must be a positive multiple of the page size \(pageSize)"
        case .invalidWriteoutFlags(let raw):
            return "writeout flags \(raw): use .store, .markStored or both"
        case .loadFailed(let file, let block, let cause):
            return "\(file): block \(block) could not be loaded: \(cause)"
        case .storeFailed(let file, let block, let cause):
            return "\(file): block \(block) could not be stored, it and later blocks stay dirty: \(cause)"
        case .spillFailed(let file, let block, let cause):
            return "\(file): block \(block) could not be spilled to make room for changes: \(cause)"
        case .writeoutInProgress(let file, let action):
            return "\(file): cannot \(action) while its changes are being written out"
        case .loadInProgress(let file):
            return "\(file): cannot close while a block is being loaded; let the other thread finish"
        case .windowsAlive(let file, let count):
            return "\(file): cannot close while \(count) window(s) on it are alive; release them first"
        case .accessInProgress(let file, let action):
            return "\(file): cannot \(action) during a scoped access to it; let the access end first"
        case .fileCutOff(let file, let block):
            return "\(file): the file was cut off under the mapping of block \(block); restore it from a copy"
        case .forkedChild(let file):
            return "\(file): this is a child of fork(), in which mapped files cannot be used; call exec first"
        case .closed(let file):
            return "\(file): the handle is closed"
        case .outOfMemory(let doing, let code):
            return "out of memory or mappings \(doing): \(systemMessage(code)); "
                + "see the limits vm.max_map_count, ulimit -v and the memory limit of this process"
        case .system(let doing, let code):
            return "\(doing): \(systemMessage(code))"
        }
    }
}

/// The system's own text for an error number.
func systemMessage(_ code: Int32) -> String {
    unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
}

/// Reads `errno` right after a failed call, before anything else can change it.
@inline(never)
func lastErrno() -> Int32 { errno }

/// The system's number for "no memory".
let outOfMemoryCode: Int32 = ENOMEM

/// Whether this process is a child of `fork()` that has not called `exec`, of a
/// process in which the engine ran. Mapped files cannot be used in it.
public func isForkedChild() -> Bool { cvirtmem_is_forked() != 0 }
