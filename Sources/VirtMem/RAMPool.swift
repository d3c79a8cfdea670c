internal import CVirtMem
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Memory for blocks that no file can show: frames of one anonymous file in
/// RAM, so that a frame is mapped like any other extent and can be aliased.
///
/// Space of a frame is reserved when it is handed out, also when it is handed
/// out again (behaviours B10, B12): a full memory limit is an error here,
/// never a SIGBUS later.
final class RAMPool: Sendable {
    /// A run of the pool's file.
    struct Frame: Sendable, Equatable {
        let offset: Int
        let size: Int
    }

    private struct State {
        var end = 0
        var reserved: [Int: [Frame]] = [:]
        var punched: [Int: [Frame]] = [:]
        var reservedFreeBytes = 0
        var usedBytes = 0
        /// Frames that blocks of several handles may show, and how many do, by offset.
        var shared: [FrameKey: Frame] = [:]
        var users: [Int: (key: FrameKey, count: Int)] = [:]
    }

    /// Free frames kept ready, in bytes; more go back to the system.
    private static let keptBytes = 64 << 20

    let descriptor: Int32
    private let state = Mutex(State())
    private let budgetInBytes = Atomic(RAMPool.defaultBudget())

    /// A quarter of the machine's memory.
    private static func defaultBudget() -> Int { systemMemory / 4 }

    /// How many bytes of frames may be handed out before clean ones are evicted.
    var budget: Int {
        get { budgetInBytes.load(ordering: .relaxed) }
        set { budgetInBytes.store(newValue, ordering: .relaxed) }
    }

    init() throws(VirtMemError) {
        descriptor = unsafe cvirtmem_memfd("virtmem-frames")
        if descriptor < 0 { throw .system(doing: "making the RAM pool", errno: -descriptor) }
    }

    /// Bytes of frames on their way: being filled, so that they are not in a block
    /// yet, or no more in a block and about to be released. They cannot be evicted, but
    /// soon can be or need not. Counted up before they are, counted down after.
    let bytesOnTheirWay = Atomic<Int>(0)

    /// Bytes in frames that are handed out.
    var usedBytes: Int { state.withLock { $0.usedBytes } }

    /// A frame of `size` bytes whose space is reserved. Its bytes are zero.
    func allocate(_ size: Int) throws(VirtMemError) -> Frame {
        let (frame, isReserved) = state.withLock { state -> (Frame, Bool) in
            state.usedBytes += size
            if let frame = state.reserved[size]?.popLast() {
                state.reservedFreeBytes -= size
                return (frame, true)
            }
            if let frame = state.punched[size]?.popLast() { return (frame, false) }
            let frame = Frame(offset: state.end, size: size)
            state.end += size
            return (frame, false)
        }
        if isReserved {
            do throws(VirtMemError) {
                try clear(frame)
            } catch {
                release(frame)
                throw error
            }
        } else {
            let code = cvirtmem_reserve(descriptor, Int64(frame.offset), Int64(size))
            if code != 0 {
                state.withLock { state in
                    state.usedBytes -= size
                    state.punched[size, default: []].append(frame)
                }
                throw .outOfMemory(doing: "reserving \(size) bytes of RAM", errno: code)
            }
        }
        return frame
    }

    /// The frame with this content, if there is one; release it when done.
    func shared(_ key: FrameKey, size: Int) -> Frame? {
        state.withLock { state in
            guard let frame = state.shared[key], frame.size == size else { return nil }
            state.users[frame.offset]?.count += 1
            return frame
        }
    }

    /// Lets others use a filled frame. If somebody was faster, theirs is returned
    /// and this one taken back.
    func share(_ frame: Frame, _ key: FrameKey) -> Frame {
        let winner = state.withLock { state -> Frame in
            if let other = state.shared[key], other.size == frame.size {
                state.users[other.offset]?.count += 1
                return other
            }
            state.shared[key] = frame
            state.users[frame.offset] = (key, 1)
            return frame
        }
        if winner != frame { release(frame) }
        return winner
    }

    /// Takes a frame back, or one use of a shared one. The caller maps it no more.
    func release(_ frame: Frame) {
        let keep = state.withLock { state -> Bool in
            if let (key, count) = state.users[frame.offset] {
                if count > 1 {
                    state.users[frame.offset] = (key, count - 1)
                    return true
                }
                state.users[frame.offset] = nil
                if state.shared[key] == frame { state.shared[key] = nil }
            }
            state.usedBytes -= frame.size
            guard state.reservedFreeBytes + frame.size <= Self.keptBytes else { return false }
            state.reservedFreeBytes += frame.size
            state.reserved[frame.size, default: []].append(frame)
            return true
        }
        if keep { return }
        _ = cvirtmem_punch(descriptor, Int64(frame.offset), Int64(frame.size))
        state.withLock { $0.punched[frame.size, default: []].append(frame) }
    }

    /// Runs `body` with the frame's bytes, mapped for this call only.
    func withBytes<R>(of frame: Frame, _ body: (UnsafeMutableRawBufferPointer) throws -> R) throws -> R {
        let protection = PROT_READ | PROT_WRITE
        guard
            let address = unsafe mmap(
                nil, frame.size, protection, MAP_SHARED, descriptor, off_t(frame.offset)),
            unsafe address != MAP_FAILED
        else {
            throw VirtMemError.outOfMemory(doing: "mapping a frame of the RAM pool", errno: lastErrno())
        }
        defer { unsafe munmap(address, frame.size) }
        return try unsafe body(UnsafeMutableRawBufferPointer(start: address, count: frame.size))
    }

    private func clear(_ frame: Frame) throws(VirtMemError) {
        do {
            try unsafe withBytes(of: frame) { bytes in
                _ = unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            }
        } catch let error as VirtMemError {
            throw error
        } catch {
            throw .system(doing: "clearing a frame", errno: EIO)
        }
    }
}
