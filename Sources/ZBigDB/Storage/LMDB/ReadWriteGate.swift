#if canImport(Glibc)
    internal import Glibc
#endif

/// Lets many use LMDB's memory map, or one move it.
///
/// The map moves when it grows. Nobody may hold a pointer into it then, so all
/// work with pointers passes here; open snapshots without work going on are
/// no hindrance.
@safe
final class ReadWriteGate: Sendable {
    nonisolated(unsafe) private let lock: UnsafeMutablePointer<pthread_rwlock_t>

    init() {
        unsafe lock = .allocate(capacity: 1)
        unsafe pthread_rwlock_init(lock, nil)
    }

    deinit {
        unsafe pthread_rwlock_destroy(lock)
        unsafe lock.deallocate()
    }

    func enter() { unsafe pthread_rwlock_rdlock(lock) }
    func leave() { unsafe pthread_rwlock_unlock(lock) }

    func shared<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        enter()
        defer { leave() }
        return try body()
    }

    func exclusive<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        unsafe pthread_rwlock_wrlock(lock)
        defer { leave() }
        return try body()
    }
}
