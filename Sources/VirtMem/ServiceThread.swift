#if canImport(Glibc)
    internal import Glibc
#endif

/// Threads of the engine.
enum ServiceThread {
    private final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` in a thread of its own. False if there can be no more.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        // No signal meant for the program may land on a service thread. Those that an
        // instruction of its own raises must not be blocked: nobody would hear of them.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        for own in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS] { unsafe sigdelset(&all, own) }
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(Start(body)).toOpaque()
        let code = unsafe pthread_create(&thread, nil, { unsafe ServiceThread.main($0) }, context)
        if code == 0 {
            pthread_detach(thread)
        } else {
            unsafe Unmanaged<Start>.fromOpaque(context).release()
        }
        return code == 0
    }

    private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context = unsafe context else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
        inCallback("a service thread") { start.body() }
        return nil
    }
}
