internal import CVirtMem
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// The threads behind the signal handler.
///
/// A thread that touches an absent page stops in the handler, which sends the
/// fault here through a queue. A service thread takes it, does what the fault
/// needs, and replies; then the instruction runs again. There is always a
/// thread left for the next fault: the one that takes the last idle place
/// starts another, so that any number of loads may wait for each other (D2).
enum FaultService {
    private static let idle = Atomic<Int>(0)
    private static let mostIdle = 4

    static func start(_ engine: Engine) { startThread(engine) }

    private static func startThread(_ engine: Engine) {
        idle.wrappingAdd(1, ordering: .relaxed)
        // No signal meant for the program may land on a service thread.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe sigdelset(&all, SIGSEGV)
        unsafe sigdelset(&all, SIGBUS)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(engine).toOpaque()
        let code = unsafe pthread_create(&thread, nil, { unsafe FaultService.main($0) }, context)
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        if code == 0 {
            pthread_detach(thread)
        } else {
            unsafe Unmanaged<Engine>.fromOpaque(context).release()
            idle.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context = unsafe context else { return nil }
        let engine = unsafe Unmanaged<Engine>.fromOpaque(context).takeRetainedValue()
        inCallback("a service thread") {
            while true {
                guard let fault = Fault.next() else { return }
                if idle.wrappingSubtract(1, ordering: .relaxed).newValue == 0 { startThread(engine) }
                engine.serve(fault)
                if idle.wrappingAdd(1, ordering: .relaxed).newValue > mostIdle {
                    idle.wrappingSubtract(1, ordering: .relaxed)
                    return
                }
            }
        }
        return nil
    }
}

/// A thread stopped in the signal handler.
struct Fault: Sendable {
    /// Where the C structure lies on the stack of the stopped thread.
    let id: UInt
    let address: UInt
    let region: UInt32
    let access: Access

    /// Waits for the next fault.
    static func next() -> Fault? {
        var raw: UnsafeMutablePointer<cvirtmem_fault>?
        guard unsafe cvirtmem_next_fault(&raw) == 0, let raw = unsafe raw else { return nil }
        return unsafe Fault(
            id: UInt(bitPattern: raw), address: raw.pointee.address, region: raw.pointee.region,
            access: raw.pointee.is_write != 0 ? .write : .read)
    }

    /// Lets the stopped thread go on; its fault is gone afterwards.
    static func reply(_ id: UInt, _ reply: Int) {
        guard let raw = unsafe UnsafeMutablePointer<cvirtmem_fault>(bitPattern: id) else { return }
        unsafe cvirtmem_reply(raw, UInt32(reply))
    }
}

extension Engine {
    /// Does what one fault needs. Never throws: an error here can reach nobody
    /// but the person who reads standard error.
    func serve(_ fault: Fault) {
        // Replying comes last, when this thread holds no reference to the file
        // any more: the stopped thread may be about to give up the last one.
        if let reply = reply(to: fault) { Fault.reply(fault.id, reply) }
    }

    /// Nil if another thread will reply.
    @inline(never)
    private func reply(to fault: Fault) -> Int? {
        do throws(VirtMemError) {
            let look = try locked { state throws(VirtMemError) -> Look in
                guard let block = state.block(at: fault.address, of: fault.region) else { return .gone }
                var progress = 0
                return try state.look(
                    fault.region, block..<(block + 1), fault.access, pin: false, progress: &progress,
                    waiter: { .fault(fault.id) })
            }
            switch look {
            case .ready: return Int(CVIRTMEM_RETRY)
            case .gone: return Int(CVIRTMEM_NOT_OURS)
            case .wait: return nil  // the thread that loads the block replies
            case .load(let ticket):
                try load(ticket)
                return Int(CVIRTMEM_RETRY)
            }
        } catch {
            let access = fault.access == .write ? "write to" : "read of"
            let text =
                "VirtMem: \(access) mapped memory at 0x\(String(fault.address, radix: 16)) failed: \(error)\n"
            unsafe Array(text.utf8).withUnsafeBytes { bytes in
                _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
            }
            return Int(CVIRTMEM_FATAL)
        }
    }
}

extension EngineState {
    /// The block number at an address of a region.
    func block(at address: UInt, of region: UInt32) -> Int? {
        guard let handle = handles[region] else { return nil }
        let base = unsafe UInt(bitPattern: handle.base)
        guard address >= base, address < base + UInt(handle.length) else { return nil }
        let block = Int(address - base) / handle.blockSize
        return block < handle.capacity ? block : nil
    }
}
