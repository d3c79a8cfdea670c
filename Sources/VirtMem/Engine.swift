internal import CVirtMem
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// The one engine of a process: its lock, its tables and its memory files.
///
/// V, the lock, is a leaf: while it is held nothing is called back, no other
/// lock is taken, no mapped memory is touched and nothing waits for a disk.
/// Every method of ``EngineState`` runs under V and only there.
final class Engine: Sendable {
    let pool: RAMPool
    let pageMap = PageMapSource()
    let pageTables = PageTableFiller()
    private let v: VirtLock<EngineState>

    private static let result = Result<Engine, VirtMemError> { () throws(VirtMemError) in try Engine() }

    /// The engine, made and its signal handler installed at first use.
    static func shared() throws(VirtMemError) -> Engine { try result.get() }

    private init() throws(VirtMemError) {
        pool = try RAMPool()
        let zero = unsafe cvirtmem_memfd("virtmem-zero")
        if zero < 0 { throw .system(doing: "making the file of zeros", errno: -zero) }
        v = VirtLock(
            EngineState(
                zeroDescriptor: zero, poolDescriptor: pool.descriptor, systemMappings: Self.systemMappings()))
        let code = cvirtmem_install()
        if code != 0 { throw .system(doing: "installing the SIGSEGV handler", errno: code) }
        FaultService.start(self)
    }

    /// Refuses work in a child of `fork()`: the threads that serve faults, and
    /// perhaps the holder of V, stayed with the parent.
    func refuseInChild(_ file: String) throws(VirtMemError) {
        if isForkedChild() { throw .forkedChild(file: file) }
    }

    /// Runs `body` under V, then gives back the frames it dropped.
    func locked<R: Sendable, E: Error>(_ body: (inout EngineState) throws(E) -> R) throws(E) -> R {
        let (result, frames, waiters) = v.withLock { state -> (Result<R, E>, [RAMPool.Frame], [Waiter]) in
            let result = Result<R, E> { () throws(E) in try body(&state) }
            let frames = state.takeDroppedFrames()
            for frame in frames { pool.bytesOnTheirWay.add(frame.size, ordering: .sequentiallyConsistent) }
            return (result, frames, state.takeWoken())
        }
        for frame in frames {
            pool.release(frame)
            pool.bytesOnTheirWay.subtract(frame.size, ordering: .sequentiallyConsistent)
        }
        for waiter in waiters { waiter.wake() }
        return try result.get()
    }

    /// Makes a handle of `range`; returns its id.
    func makeHandle(
        _ file: any BigFile, name: String, _ blockSize: Int, _ range: consuming AddressRange,
        _ budget: DirtyBudget
    ) throws(VirtMemError) -> UInt32 {
        var range: AddressRange? = consume range
        return try locked { state throws(VirtMemError) in
            guard let taken = range.take() else { throw .closed(file: name) }
            return try state.open(file, name: name, blockSize: blockSize, range: taken, budget)
        }
    }

    /// How many kernel mappings the process may have.
    private static func systemMappings() -> Int {
        let file = unsafe open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 65_530 }
        defer { close(file) }
        var digits: [UInt8] = Array(repeating: 0, count: 32)
        let count = unsafe digits.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
        let text = String(decoding: digits.prefix(max(count, 0)), as: UTF8.self)
        return Int(text.prefix { $0.isNumber }) ?? 65_530
    }
}

/// Everything V protects.
struct EngineState {
    let zeroDescriptor: Int32
    let poolDescriptor: Int32
    /// Kernel mappings the engine uses before it evicts clean blocks, and before it
    /// refuses to map more. The rest is for the program: without any left, not even
    /// a thread can be started, nor a block be taken away.
    var areaLimit: Int
    var mappingCap: Int
    /// Kernel mappings of blocks.
    var areas = 0
    /// Runs of mapped blocks. Each parts the inaccessible addresses around it, which
    /// takes a mapping more.
    private var runs = 0
    var usedMappings: Int { areas + runs + handles.count }

    /// What was done so far; the other fields are filled in when asked for.
    var counts = VirtualMemory.Statistics()

    private(set) var handles: [UInt32: HandleState] = [:]
    private var nextHandle: UInt32 = 1
    private var nextSerial: UInt64 = 1
    private var zeroLength = 0
    /// Dirty budgets of open handles.
    var budgets: [ObjectIdentifier: BudgetState] = [:]
    /// Bytes that dirty blocks count in all budgets.
    var dirtyBytes = 0
    var recency = RecencyList()

    // Work to do once V is released.
    private var droppedFrames: [RAMPool.Frame] = []
    private var woken: [Waiter] = []

    init(zeroDescriptor: Int32, poolDescriptor: Int32, systemMappings: Int) {
        self.zeroDescriptor = zeroDescriptor
        self.poolDescriptor = poolDescriptor
        areaLimit = max(64, systemMappings / 4 * 3)
        mappingCap = max(64, systemMappings / 16 * 15)
    }

    mutating func takeDroppedFrames() -> [RAMPool.Frame] {
        defer { droppedFrames = [] }
        return droppedFrames
    }

    mutating func takeWoken() -> [Waiter] {
        defer { woken = [] }
        return woken
    }

    mutating func drop(_ frame: RAMPool.Frame) { droppedFrames.append(frame) }

    mutating func wake(_ waiters: [Waiter]) { woken += waiters }

    mutating func wakeWaiters(of block: Block) {
        wake(block.waiters)
        block.waiters = []
    }

    mutating func makeSerial() -> UInt64 {
        defer { nextSerial += 1 }
        return nextSerial
    }

    // MARK: Handles

    func handle(_ id: UInt32, _ name: String) throws(VirtMemError) -> HandleState {
        guard let handle = handles[id] else { throw .closed(file: name) }
        return handle
    }

    mutating func open(
        _ file: any BigFile, name: String, blockSize: Int, range: consuming AddressRange,
        _ budget: DirtyBudget
    ) throws(VirtMemError) -> UInt32 {
        if blockSize > zeroLength {
            guard ftruncate(zeroDescriptor, off_t(blockSize)) == 0 else {
                throw .outOfMemory(doing: "growing the file of zeros", errno: lastErrno())
            }
            zeroLength = blockSize
        }
        let id = nextHandle
        nextHandle += 1
        let handle = HandleState(
            id: id, file: file, name: name, blockSize: blockSize, range: range, budget: join(budget))
        let code = unsafe cvirtmem_register(handle.base, handle.length, id)
        if code != 0 {
            leave(handle.budget)
            throw .system(doing: "registering \(handle.length) bytes of addresses", errno: code)
        }
        handles[id] = handle
        return id
    }

    /// Takes the handle and all its blocks away. Its addresses are unmapped when
    /// the last reference to its state goes.
    mutating func close(_ id: UInt32) {
        // The backend still reads its memory: whoever spills closes it then.
        if let handle = handles[id], handle.spiller != nil {
            handle.closesAfterSpill = true
            return
        }
        guard let handle = handles.removeValue(forKey: id) else { return }
        unsafe cvirtmem_unregister(handle.base, handle.length)
        var all: [Block] = []
        handle.blocks.forEach { _, block in all.append(block) }
        for block in all {
            forget(handle, block)
            wakeWaiters(of: block)
        }
        runs -= handle.runs
        leave(handle.budget)
    }

    /// Notes that block `number` is mapped now, or no more.
    mutating func countRuns(_ handle: HandleState, _ number: Int, isMapped: Bool) {
        func isThere(_ other: Int) -> Bool { handle.blocks[other].map { $0.state != .loading } ?? false }
        let change = 1 - (isThere(number - 1) ? 1 : 0) - (isThere(number + 1) ? 1 : 0)
        handle.runs += isMapped ? change : -change
        runs += isMapped ? change : -change
    }

    /// Takes a block out of the lists and the budget, and drops its frame.
    private mutating func forget(_ handle: HandleState, _ block: Block) {
        account(handle, block, 0)
        recency.remove(block)
        areas -= block.areas
        block.areas = 0
        if let frame = block.frame { drop(frame) }
        block.frame = nil
    }

    // MARK: To absent

    /// Makes blocks absent: inaccessible addresses, no content, no change left.
    /// Blocks that are loading become loadingInvalidated.
    mutating func makeAbsent(_ handle: HandleState, _ numbers: [Int]) throws(VirtMemError) {
        var mapped: [Int] = []
        for number in numbers {
            guard let block = handle.blocks[number] else { continue }
            if block.state == .loading { takeOut(handle, block) } else { mapped.append(number) }
        }
        for run in HandleState.runs(mapped) {
            let address = unsafe handle.address(of: run.lowerBound)
            let code = unsafe Mapping.unmap(address, run.count * handle.blockSize)
            // What could not be unmapped stays in the tables, as it stays readable.
            if code != 0 {
                throw .outOfMemory(doing: "unmapping blocks \(run) of \(handle.name)", errno: code)
            }
            for number in run { if let block = handle.blocks[number] { takeOut(handle, block) } }
        }
    }

    /// Takes a block out of the tables. Pins stay with its number.
    mutating func takeOut(_ handle: HandleState, _ block: Block) {
        handle.blocks[block.number] = nil
        handle.dirty.remove(block.number)
        handle.writable.remove(block.number)
        if block.state != .loading { countRuns(handle, block.number, isMapped: false) }
        if block.pins > 0 { handle.pinsOfAbsent[block.number] = block.pins }
        forget(handle, block)
        wakeWaiters(of: block)
    }
}
