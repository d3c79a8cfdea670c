internal import CVirtMem

/// Somebody waiting for a block to leave the state `loading`.
enum Waiter: Sendable {
    /// A thread stopped in the signal handler; the address of its fault.
    case fault(UInt)
    /// A thread in scoped access.
    case thread(Event)

    /// Lets it look at the block again.
    func wake() {
        switch self {
        case .fault(let id): Fault.reply(id, Int(CVIRTMEM_RETRY))
        case .thread(let event): event.signal()
        }
    }
}

/// A one-shot event on a futex. No polling, no allocation when waiting.
@safe
final class Event: Sendable {
    nonisolated(unsafe) private let word: UnsafeMutablePointer<UInt32>

    init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: 0)
    }

    deinit { unsafe word.deallocate() }

    func signal() {
        unsafe cvirtmem_store(word, 1)
        unsafe cvirtmem_wake(word)
    }

    func wait() {
        while unsafe cvirtmem_load(word) == 0 { unsafe cvirtmem_wait(word, 0) }
    }
}

/// Runs backend code, in which a fault on a mapping is a bug that the signal
/// handler names.
func inCallback<R>(_ name: StaticString, _ body: () throws -> R) rethrows -> R {
    let pointer = unsafe UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    let previous = unsafe cvirtmem_enter_callback(pointer)
    defer { unsafe cvirtmem_leave_callback(previous) }
    return try body()
}
