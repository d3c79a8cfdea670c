import Foundation
import Synchronization

/// The user pressed Ctrl-C, or the system asked the tool to end.
struct Interrupted: Error, CustomStringConvertible {
    /// What that means for the database, if anything.
    var consequence = ""

    var description: String { "Interrupted\(consequence)." }
}

/// Turns Ctrl-C into an error at places where work can be given up cleanly.
///
/// The first signal is noted, and ``check()`` throws; the second ends the process at once,
/// which a database survives as well.
enum Interruption {
    private static let signals = Atomic<Int>(0)

    /// From now on signals are noted.
    static func watch() {
        _ = signals.load(ordering: .relaxed)
        // Who started the tool may have left them blocked.
        var watched = sigset_t()
        sigemptyset(&watched)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            sigaddset(&watched, number)
            // Atomics and _exit are all a signal handler may use of what is used here.
            signal(number) { _ in
                if Interruption.signals.add(1, ordering: .relaxed).newValue > 1 { _exit(130) }
            }
        }
        pthread_sigmask(SIG_UNBLOCK, &watched, nil)
    }

    /// Throws ``Interrupted`` if a signal came.
    static func check() throws {
        if signals.load(ordering: .relaxed) > 0 { throw Interrupted() }
    }
}
