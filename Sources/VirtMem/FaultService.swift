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
        // No signal meant for the program may land on a service thread. Those that an
        // instruction of its own raises must not be blocked: nobody would hear of them.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        for own in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS] { unsafe sigdelset(&all, own) }
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
                let fault = Fault.next()
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
