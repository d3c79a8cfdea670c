internal import CLMDB
internal import Synchronization
internal import VirtMem

#if canImport(Glibc)
    internal import Glibc
#endif

/// An open LMDB file: the map, its growth, and transactions on it.
///
/// The file's places are published as offsets from the start of the file, so
/// that they can be mapped through ``descriptor``.
@safe
final class LMDBEnvironment: Sendable {
    struct Options: Sendable {
        var isReadOnly = false
        var mapSize = 1 << 40
        var maximumSize: Int?
        var maximumReaders = 1022
        var durability = Durability.full
    }

    let path: String
    let options: Options
    let gate = ReadWriteGate()
    let journal: LMDBJournal
    nonisolated(unsafe) private let env: OpaquePointer
    private let identity: FileIdentity
    /// Held from the look at a path until its file is claimed: to open a file
    /// twice, even to close it again at once, breaks LMDB's locks.
    private static let opening = Lock()
    /// Counts the moves of the map: cursors of an older generation are stale.
    private let generationCount = Atomic<Int>(0)
    private let mapBase = Atomic<UInt>(0)

    var generation: Int { generationCount.load(ordering: .acquiring) }

    /// The data file's descriptor, for mapping and for byte locks.
    var descriptor: Int32 {
        var fd: Int32 = -1
        unsafe mdb_env_get_fd(env, &fd)
        return fd
    }

    /// Opens the file, or makes it if `create`.
    init(_ path: String, _ options: Options, create: Bool) throws(StorageError) {
        self.path = path
        self.options = options
        journal = LMDBJournal(ofDatabase: path)
        (unsafe env, identity) = unsafe try Self.opening { () throws(StorageError) in
            try Self.checkPath(path, create: create)
            let env = unsafe try Self.open(path, options)
            var fd: Int32 = -1
            unsafe mdb_env_get_fd(env, &fd)
            // The byte locks end with the last holder of the open file: no child may inherit it.
            _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
            do throws(StorageError) {
                try Self.shareUse(fd, path)
                return unsafe (env, try FileIdentity.claim(fd, path))
            } catch {
                unsafe mdb_env_close(env)
                throw error
            }
        }
        dropDeadReaders()
    }

    /// Held by everybody who has the file open: shared, or alone while it is rewritten.
    static let useByte: Int64 = 1 << 62 + 1 << 16

    private static func shareUse(_ fd: Int32, _ path: String) throws(StorageError) {
        let code = clmdb_share_byte(fd, useByte)
        if code == EAGAIN || code == EACCES { throw .inUse(path: path) }
        // Rewritten between the look at the path and the lock: what is open has no name any more.
        var (mine, named) = (stat(), stat())
        unsafe fstat(fd, &mine)
        if unsafe stat(path, &named) == 0, mine.st_ino != named.st_ino { throw .inUse(path: path) }
    }

    /// Makes this the only one who has the file open, until it is closed.
    func takeSole() throws(StorageError) {
        // A thread that still reads, or a child between fork and exec, has it open for a moment longer than its owner.
        for _ in 0..<100 {
            if clmdb_lock_byte(descriptor, Self.useByte, 0) == 0 { return }
            usleep(20_000)
        }
        throw .inUse(path: path)
    }

    /// Whether another process has it open for writing.
    var isOpenForWritingElsewhere: Bool { OwnerSlot.areOthersAlive(descriptor) }

    /// Whether this is the only one who has it open.
    var isOpenNowhereElse: Bool { clmdb_is_byte_locked(descriptor, Self.useByte) == 0 }

    /// Says whether LMDB flushes what it commits. With its writer lock held.
    func setFlushing(_ flushes: Bool) {
        if options.durability == .full { unsafe mdb_env_set_flags(env, UInt32(MDB_NOSYNC), flushes ? 0 : 1) }
    }

    /// Puts everything on the disk, whatever the durability.
    func flush() throws(StorageError) {
        let code = unsafe mdb_env_sync(env, 1)
        if code != 0 { throw LMDBCode.error(code, path, "flushing") }
    }

    /// Forgets snapshots of processes that died: they would pin pages for ever.
    func dropDeadReaders() {
        var dead: Int32 = 0
        unsafe mdb_reader_check(env, &dead)
    }

    deinit {
        // A file without a name loses its number with its last descriptor, and another
        // may have it at once.
        Self.opening {
            unsafe mdb_env_close(env)
            identity.release()
        }
    }

    private static func open(_ path: String, _ options: Options) throws(StorageError) -> OpaquePointer {
        var flags = UInt32(MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD)
        if options.isReadOnly { flags |= UInt32(MDB_RDONLY) }
        switch options.durability {
        case .full: break
        case .noMetaSync: flags |= UInt32(MDB_NOMETASYNC)
        case .none: flags |= UInt32(MDB_NOSYNC)
        }
        var size = min(options.mapSize, options.maximumSize ?? .max)
        while true {
            var env: OpaquePointer?
            var code = unsafe mdb_env_create(&env)
            guard code == 0, let handle = unsafe env else {
                throw LMDBCode.error(code, path, "making an LMDB environment")
            }
            unsafe mdb_env_set_maxdbs(handle, 16)
            unsafe mdb_env_set_maxreaders(handle, UInt32(options.maximumReaders))
            unsafe mdb_env_set_mapsize(handle, size)
            code = unsafe mdb_env_open(handle, path, flags, 0o644)
            if code == 0 { return unsafe handle }
            unsafe mdb_env_close(handle)
            // Where address space is limited, a smaller map does; it grows later.
            guard code == ENOMEM, size > 1 << 28 else {
                throw LMDBCode.error(code, path, "opening the database")
            }
            size /= 4
        }
    }

    /// Tells apart what LMDB would answer with one code.
    private static func checkPath(_ path: String, create: Bool) throws(StorageError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            let code = errno
            if code == ENOENT, create { return }
            throw LMDBCode.error(code, path, "opening the database")
        }
        if status.st_mode & S_IFMT == S_IFDIR { throw .notADatabase(path: path, reason: "it is a folder") }
        if status.st_mode & S_IFMT != S_IFREG {
            throw .notADatabase(path: path, reason: "it is no regular file")
        }
        if FileIdentity.isClaimed(status) { throw .alreadyOpen(path: path) }
        if status.st_size == 0, !create { throw .notADatabase(path: path, reason: "it is empty") }
    }

    // MARK: Transactions

    /// Begins a read transaction, which pins what it sees.
    func beginRead() throws(StorageError) -> OpaquePointer {
        unsafe try begin(UInt32(MDB_RDONLY), "opening a snapshot")
    }

    /// Begins a write transaction, waiting for the writer of any process. The
    /// caller is inside the gate until it has ended.
    func beginWrite() throws(StorageError) -> OpaquePointer {
        if options.isReadOnly { throw .readOnly(path: path) }
        gate.enter()
        do throws(StorageError) {
            return unsafe try begin(0, "beginning to write", isInside: true)
        } catch {
            gate.leave()
            throw error
        }
    }

    private func begin(_ flags: UInt32, _ doing: String, isInside: Bool = false) throws(StorageError)
        -> OpaquePointer
    {
        if isForkedChild() { throw .forkedChild(path: path) }
        var hasChecked = false
        while true {
            var txn: OpaquePointer?
            if !isInside { gate.enter() }
            let code = unsafe mdb_txn_begin(env, nil, flags, &txn)
            if !isInside { gate.leave() }
            if code == MDB_READERS_FULL, !hasChecked {
                // Snapshots of processes that died count until somebody looks.
                hasChecked = true
                dropDeadReaders()
                continue
            }
            if code == 0, let txn = unsafe txn { return unsafe txn }
            guard code == MDB_MAP_RESIZED else { throw LMDBCode.error(code, path, doing) }
            // Another process has grown the file past our map.
            if isInside { gate.leave() }
            defer { if isInside { gate.enter() } }
            try moveMap(to: 0)
        }
    }

    /// Doubles the map. The caller has no transaction open that writes.
    func grow() throws(StorageError) {
        var info = unsafe MDB_envinfo()
        unsafe mdb_env_info(env, &info)
        let limit = options.maximumSize ?? .max
        let size = unsafe min(info.me_mapsize * 2, limit)
        guard unsafe size > info.me_mapsize else { throw .full(path: path, limit: limit) }
        try moveMap(to: size)
    }

    private func moveMap(to size: Int) throws(StorageError) {
        try gate.exclusive { () throws(StorageError) in
            if size > 0 {
                // LMDB unmaps before it maps: see first whether there is room.
                let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
                guard let trial = unsafe mmap(nil, size, PROT_NONE, flags, -1, 0), unsafe trial != MAP_FAILED
                else {
                    throw .full(path: path, limit: size / 2)
                }
                unsafe munmap(trial, size)
            }
            let code = unsafe mdb_env_set_mapsize(env, size)
            if code != 0 { throw LMDBCode.error(code, path, "growing the map") }
            generationCount.wrappingAdd(1, ordering: .acquiringAndReleasing)
            mapBase.store(0, ordering: .releasing)
        }
    }

    // MARK: Places

    /// The offset in the file of memory that a transaction returned, or nil if
    /// LMDB's page header is not where it was found when the file was opened.
    ///
    /// A value that fills pages of its own begins 16 bytes into the first; the 8
    /// bytes before it begin with that page's number.
    func fileOffset(of value: UnsafeRawBufferPointer) -> Int? {
        guard let address = value.baseAddress else { return nil }
        let base = mapBase.load(ordering: .acquiring)
        if base != 0 { return Int(UInt(bitPattern: address) - base) }
        guard let offset = unsafe offset(of: address), UInt(bitPattern: address) > UInt(offset) else {
            return nil
        }
        return offset
    }

    /// Where memory that a transaction has just reserved will be in the file, or nil if that
    /// cannot be told: such memory is not in the map yet, but its page has its number.
    func fileOffset(ofNew memory: UnsafeMutableRawBufferPointer) -> Int? {
        guard mapBase.load(ordering: .acquiring) != 0, let address = memory.baseAddress else { return nil }
        return unsafe offset(of: UnsafeRawPointer(address))
    }

    /// The offset that the page number before a value says.
    private func offset(of address: UnsafeRawPointer) -> Int? {
        let page = unsafe (address - 16).loadUnaligned(as: UInt.self)
        let (offset, overflow) = page.multipliedReportingOverflow(by: UInt(pageSize))
        guard !overflow, offset < UInt(Int.max / 2) else { return nil }
        return Int(offset) + 16
    }

    /// Asks for memory in large pages, which is touched with fewer faults. A hint.
    func prefersLargePages(_ memory: UnsafeMutableRawBufferPointer) {
        #if os(Linux)
            guard let address = memory.baseAddress else { return }
            let page = UInt(systemPageSize)
            let start = (UInt(bitPattern: address) + page - 1) / page * page
            let end = (UInt(bitPattern: address) + UInt(memory.count)) / page * page
            if start < end {
                _ = unsafe madvise(
                    UnsafeMutableRawPointer(bitPattern: start), Int(end - start), MADV_HUGEPAGE)
            }
        #endif
    }

    /// Sets where the map begins, once an offset is proven.
    func setMapBase(_ value: UnsafeRawBufferPointer, isAt offset: Int) {
        guard let address = value.baseAddress else { return }
        mapBase.store(UInt(bitPattern: address) - UInt(offset), ordering: .releasing)
    }

    /// Has the kernel read bytes of a value at once that are about to be read, if the first of them are not
    /// in memory. LMDB's map is set for random access: by itself it would fetch them page by page.
    func willRead(_ bytes: UnsafeRawBufferPointer, of value: UnsafeRawBufferPointer) {
        guard let place = unsafe absentPlace(bytes, of: value) else { return }
        readAhead(descriptor, place.lowerBound, place.count)
    }

    /// Where bytes of a value are in the file, if the first of them are not in memory; nil also if
    /// they are too few to be asked for.
    func absentPlace(_ bytes: UnsafeRawBufferPointer, of value: UnsafeRawBufferPointer) -> Range<Int>? {
        guard bytes.count > 4 * systemPageSize, let address = bytes.baseAddress, let start = value.baseAddress
        else { return nil }
        let page = unsafe UnsafeMutableRawPointer(
            bitPattern: (UInt(bitPattern: address) + UInt(systemPageSize) - 1) / UInt(systemPageSize)
                * UInt(systemPageSize))
        guard let page = unsafe page, unsafe !isInMemory(page), let offset = unsafe fileOffset(of: value)
        else { return nil }
        let first = unsafe offset + (address - start)
        return first..<(first + bytes.count)
    }

    /// LMDB's page size.
    var pageSize: Int {
        var stat = MDB_stat()
        unsafe mdb_env_stat(env, &stat)
        return Int(stat.ms_psize)
    }

    /// Bytes of the map.
    var mapSize: Int {
        var info = unsafe MDB_envinfo()
        unsafe mdb_env_info(env, &info)
        return unsafe info.me_mapsize
    }

    /// The bytes of the file that are in use.
    var usedBytes: Int {
        var info = unsafe MDB_envinfo()
        unsafe mdb_env_info(env, &info)
        return unsafe (info.me_last_pgno + 1) * pageSize
    }

    /// The bytes of the file that are in use, and its length.
    func extent() -> (used: Int, length: Int) {
        var status = stat()
        unsafe fstat(descriptor, &status)
        return (usedBytes, Int(status.st_size))
    }

    /// Whether the disk has next to no room left.
    var isDiskFull: Bool {
        var status = statvfs()
        guard unsafe fstatvfs(descriptor, &status) == 0 else { return false }
        return status.f_bavail * status.f_frsize < 1 << 20
    }

}

/// The files this process has open, by device and inode: LMDB must not open
/// one twice.
struct FileIdentity: Hashable, Sendable {
    private static let claimed = Mutex<Set<FileIdentity>>([])

    private let device: UInt
    private let inode: UInt

    private init(_ status: stat) {
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }

    static func isClaimed(_ status: stat) -> Bool { claimed.withLock { $0.contains(FileIdentity(status)) } }

    static func claim(_ descriptor: Int32, _ path: String) throws(StorageError) -> FileIdentity {
        var status = stat()
        unsafe fstat(descriptor, &status)
        let identity = FileIdentity(status)
        let isNew = claimed.withLock { $0.insert(identity).inserted }
        guard isNew else { throw .alreadyOpen(path: path) }
        return identity
    }

    func release() { _ = Self.claimed.withLock { $0.remove(self) } }
}
