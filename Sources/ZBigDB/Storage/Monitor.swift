#if canImport(Glibc)
    internal import Glibc
#endif

/// A lock whose holder can wait until others change what it guards.
@safe
final class Monitor: Sendable {
    nonisolated(unsafe) private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    nonisolated(unsafe) private let changed: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(changed, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    func callAsFunction<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Lets go of the lock until somebody calls ``notifyAll()``. With the lock held only.
    func wait() { unsafe pthread_cond_wait(changed, mutex) }

    func notifyAll() { unsafe pthread_cond_broadcast(changed) }
}
