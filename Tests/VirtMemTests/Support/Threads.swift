import Foundation
import Synchronization

/// A thread whose end can be waited for.
final class Worker: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private let isDone = Atomic<Bool>(false)

    init(_ body: @escaping @Sendable () -> Void) {
        Thread.detachNewThread { [self] in
            body()
            isDone.store(true, ordering: .releasing)
            done.signal()
        }
    }

    var isRunning: Bool { !isDone.load(ordering: .acquiring) }

    /// Waits for the end, up to a time that only a hang can use up.
    @discardableResult
    func join(seconds: Int = 20) -> Bool {
        defer { done.signal() }
        return done.wait(timeout: .now() + .seconds(seconds)) == .success
    }
}

/// A door that opens once.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let opened = Atomic<Bool>(false)

    func open() {
        opened.store(true, ordering: .releasing)
        semaphore.signal()
    }

    var isOpen: Bool { opened.load(ordering: .acquiring) }

    @discardableResult
    func wait(seconds: Int = 20) -> Bool {
        guard semaphore.wait(timeout: .now() + .seconds(seconds)) == .success else { return false }
        semaphore.signal()
        return true
    }
}

/// Waits until `condition` holds, up to a time that only a hang can use up.
func eventually(seconds: Double = 20, _ condition: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while !condition() {
        if Date() > end { return false }
        usleep(1000)
    }
    return true
}

/// Ends this process with code 97 if it still runs after `seconds`: what hangs
/// under a broken lock rule must fail, not wait.
func startWatchdog(seconds: UInt32 = 30) {
    Thread.detachNewThread {
        sleep(seconds)
        perror("watchdog: still running after \(seconds) s")
        _exit(97)
    }
}

/// Numbers that a seed makes again (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
