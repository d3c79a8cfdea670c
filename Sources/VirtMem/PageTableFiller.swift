internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Makes page-table entries ahead of a thread that reads in order.
///
/// Where a block is in pieces, or its file not aligned with its addresses, the
/// kernel has no use for 2 MiB entries: every 64 KiB cost a fault, in all more than
/// reading the bytes does. A second thread has them done by the time the reader comes.
final class PageTableFiller: Sendable {
    /// What the kernel maps with one fault, if it can.
    private static let window = 64 << 10
    private static let largePage = 2 << 20
    /// Bytes it is ahead of the reader at most. Further on nobody may ever read.
    private static let mostAhead = 64 << 20
    /// How often it looks whether the reader has moved on, and how long: microseconds, times.
    private static let pause: UInt32 = 200
    private static let mostPauses = 100
    private static let guessPauses = 10
    private static let mostJobs = 16

    /// The blocks of a ticket.
    struct Job: Sendable {
        let handle: UInt32
        let blocks: Range<Int>
        let blockSize: Int
        /// Where the first of them lies.
        let address: UInt
        /// Whether the reader faults at the end of them, so that the next may be loaded.
        let goesOn: Bool
        /// Whether it is a guess that the blocks are read in order: then the second one tells.
        let isGuess: Bool
        /// Bytes, counted from there, that cannot be mapped in large pages.
        var pieces: [Range<Int>] = []
    }

    private let isUseful = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1
    private let state = Mutex((jobs: [Job](), isRunning: false))

    /// Does `ticket`, whose blocks were just mapped, as soon as what came before is done.
    func fill(_ ticket: LoadTicket, _ contents: [LoadedContent], _ engine: Engine) {
        guard isUseful, ticket.access == .read, ticket.blocks.lowerBound == ticket.demanded.lowerBound
        else { return }
        let size = ticket.file.blockSize
        guard size >= 2 * Self.window else { return }
        var job = Job(
            handle: ticket.handle, blocks: ticket.blocks, blockSize: size,
            address: ticket.base + UInt(ticket.blocks.lowerBound * size),
            goesOn: !ticket.pin, isGuess: !ticket.isSequential)
        job.pieces = Self.smallPieces(contents, size, from: ticket.blocks.lowerBound)
        if job.pieces.isEmpty || job.blocks.count < 2 { return }
        let mustStart = state.withLock { state in
            if state.jobs.count < Self.mostJobs { state.jobs.append(job) }
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if mustStart, !ServiceThread.start({ self.work(engine) }) {
            state.withLock { $0 = ([], false) }
        }
    }

    /// The parts of a run of blocks, the first of which is `number`, that the kernel cannot map
    /// in large pages.
    static func smallPieces(_ contents: [LoadedContent], _ blockSize: Int, from number: Int)
        -> [Range<Int>]
    {
        let origin = number * blockSize
        var pieces: [Range<Int>] = []
        var run: FileExtent?
        func end() {
            guard let run else { return }
            let (start, end) = (origin + run.blockOffset, origin + run.blockOffset + run.length)
            let first = (start + largePage - 1) / largePage * largePage
            let last = end / largePage * largePage
            if first < last, (run.fileOffset - start) % largePage == 0 {
                if start < first { pieces.append((start - origin)..<(first - origin)) }
                if last < end { pieces.append((last - origin)..<(end - origin)) }
            } else {
                pieces.append((start - origin)..<(end - origin))
            }
        }
        for (index, content) in contents.enumerated() {
            guard case .extents(let extents) = content else { continue }
            for extent in extents {
                let at = index * blockSize + extent.blockOffset
                if let last = run, last.descriptor == extent.descriptor, last.blockOffset + last.length == at,
                    last.fileOffset + last.length == extent.fileOffset
                {
                    run?.length += extent.length
                } else {
                    end()
                    run = extent
                    run?.blockOffset = at
                }
            }
        }
        end()
        return pieces
    }

    private func work(_ engine: Engine) {
        while true {
            let job = state.withLock { state in
                if state.jobs.isEmpty { state.isRunning = false }
                return state.jobs.isEmpty ? nil : state.jobs.removeFirst()
            }
            guard let job else { return }
            if run(job, engine), job.goesOn { loadNext(job, engine) }
        }
    }

    /// Maps the next blocks before the reader comes there: in pieces that takes a while, too.
    private func loadNext(_ job: Job, _ engine: Engine) {
        let ticket = engine.locked { $0.beginAhead(job.handle, job.blocks.upperBound) }
        // If it fails, it fails for the reader as well, who hears of it.
        if let ticket { _ = try? engine.load(ticket) }
    }

    /// Returns whether the reader followed.
    private func run(_ job: Job, _ engine: Engine) -> Bool {
        if job.isGuess, !Self.isReached(job, 1, engine, Self.guessPauses) { return false }
        let ahead = max(Self.mostAhead / job.blockSize, 4)
        var last = -1
        for piece in job.pieces {
            var at = piece.lowerBound
            while at < piece.upperBound {
                let index = at / job.blockSize
                let end = min(piece.upperBound, at / Self.window * Self.window + Self.window)
                if index != last {
                    guard Self.isMapped(job, index, engine) else { return false }
                    if index >= ahead, !Self.isReached(job, index - ahead, engine) { return false }
                    last = index
                }
                // The first window of a block is left to the reader: it shows how far he is.
                if at % job.blockSize >= Self.window {
                    Self.touch(job.address + UInt(at))
                }
                at = end
            }
        }
        return Self.isReached(job, max(job.blocks.count - ahead, 0), engine)
    }

    /// Whether the block is there to be read: not evicted since, its handle not closed.
    private static func isMapped(_ job: Job, _ index: Int, _ engine: Engine) -> Bool {
        engine.locked { state in
            state.handles[job.handle]?.blocks[job.blocks.lowerBound + index].map { $0.state != .loading }
                ?? false
        }
    }

    /// Waits for the reader to come to a block; false if it seems he does not.
    private static func isReached(_ job: Job, _ index: Int, _ engine: Engine, _ pauses: Int = mostPauses)
        -> Bool
    {
        let address = job.address + UInt(index * job.blockSize)
        for _ in 0..<pauses {
            guard let isPresent = engine.pageMap.isPresent(address) else { return false }
            if isPresent { return true }
            usleep(pause)
        }
        return false
    }

    /// Has the kernel map what it maps with a fault at `address`. Reads nothing, and does no
    /// harm if something else is there by now, or nothing.
    private static func touch(_ address: UInt) {
        #if os(Linux)
            _ = unsafe madvise(
                UnsafeMutableRawPointer(bitPattern: address), systemPageSize, MADV_POPULATE_READ)
        #endif
    }
}
