internal import Synchronization

/// V: one lock and the state only it gives access to.
///
/// Not recursive: taking it twice in one thread traps (behaviour D17). A fault
/// under it could never be served; the signal handler knows such threads and
/// lets the process die with a message.
///
/// `@unchecked Sendable` holds because `state` is private and touched only in
/// `withLock`, under `mutex`; results that leave are Sendable, and nothing that
/// goes in through a closure's captures is reachable from two threads: the
/// engine puts in blocks and handles it makes there, file objects, which are
/// Sendable, and address ranges, which are consumed.
final class VirtLock<State>: @unchecked Sendable {
    private let mutex = Mutex(())
    private var state: State
    #if THREAD_SANITIZER
        private let order = Atomic(false)
    #endif

    init(_ state: State) { self.state = state }

    func withLock<R: Sendable>(_ body: (inout State) -> R) -> R {
        inCallback("code under the engine's lock") {
            mutex.withLock { _ in
                #if THREAD_SANITIZER
                    // It does not see into Mutex where one thread waits for another.
                    _ = order.load(ordering: .acquiring)
                    defer { order.store(true, ordering: .releasing) }
                #endif
                return body(&state)
            }
        }
    }
}
