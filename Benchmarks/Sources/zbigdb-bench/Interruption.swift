import Foundation
import Synchronization

/// Ctrl-C, or the system's wish that it should end: the process at work ends, the scratch
/// folder goes, and so does this process.
enum Interruption {
    /// The process that measures at the moment, or 0.
    private static let worker = Atomic<Int32>(0)
    private static let isUnderWay = Atomic<Bool>(false)

    /// From now on the signals have a thread that waits for them.
    ///
    /// They are blocked before there is another thread, so that no other gets them.
    static func watch(removing folder: String) {
        // A reader that goes away is an error of the write, after which the folder is removed.
        signal(SIGPIPE, SIG_IGN)
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let watched = signals
        Thread.detachNewThread {
            var signals = watched
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { return }
            isUnderWay.store(true, ordering: .sequentiallyConsistent)
            let process = worker.load(ordering: .sequentiallyConsistent)
            if process > 0 {
                kill(process, SIGKILL)
                // What it had open would come back after the folder is gone.
                for _ in 0..<200 where kill(process, 0) == 0 { usleep(10_000) }
            }
            Scratch.remove(folder)
            say("interrupted")
            _exit(128 + number)
        }
    }

    /// Notes the process that measures, as long as `body` waits for it.
    static func whileWorking<R>(_ process: Int32, _ body: () throws -> R) rethrows -> R {
        worker.store(process, ordering: .sequentiallyConsistent)
        defer {
            worker.store(0, ordering: .sequentiallyConsistent)
            // A process that was ended here is no failure to report.
            while isUnderWay.load(ordering: .sequentiallyConsistent) { sleep(1) }
        }
        return try body()
    }
}
