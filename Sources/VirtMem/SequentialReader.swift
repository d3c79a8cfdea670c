internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// A thread that goes through parts of files before others do, so that they are in memory.
///
/// The bytes go nowhere: they are sent to the null device, which copies nothing.
final class SequentialReader: Sendable {
    static let shared = SequentialReader()

    /// Bytes read before it looks whether there is anything left to do.
    private static let piece = 1 << 20
    /// More waits than anybody is about to use: the kernel is asked then.
    private static let mostJobs = 64

    private struct Job: Sendable {
        /// Its own, so that where it reads is told apart from where others do.
        let descriptor: Int32
        let offset: Int
        let length: Int
    }

    private let state = Mutex((jobs: [Job](), isRunning: false))
    private let null = unsafe open("/dev/null", O_WRONLY | O_CLOEXEC)

    /// Reads a part as soon as those before it are read. False if it cannot.
    func read(_ descriptor: Int32, _ offset: Int, _ length: Int) -> Bool {
        #if os(Linux)
            guard null >= 0 else { return false }
            let own = unsafe open("/proc/self/fd/\(descriptor)", O_RDONLY | O_CLOEXEC)
            guard own >= 0 else { return false }
            let (isTaken, mustStart) = state.withLock { state in
                guard state.jobs.count < Self.mostJobs else { return (false, false) }
                state.jobs.append(Job(descriptor: own, offset: offset, length: length))
                defer { state.isRunning = true }
                return (true, !state.isRunning)
            }
            if !isTaken { close(own) }
            if mustStart, !ServiceThread.start({ self.work() }) {
                for job in state.withLock({ state in
                    defer { state = ([], false) }
                    return state.jobs
                }) {
                    close(job.descriptor)
                }
                return false
            }
            return isTaken
        #else
            return false
        #endif
    }

    #if os(Linux)
        private func work() {
            while let job = nextJob() {
                var at = off_t(job.offset)
                let end = off_t(job.offset + job.length)
                while at < end {
                    let count = min(Int(end - at), Self.piece)
                    if unsafe sendfile(null, job.descriptor, &at, count) <= 0 { break }
                }
                close(job.descriptor)
            }
        }

        private func nextJob() -> Job? {
            state.withLock { state in
                if state.jobs.isEmpty { state.isRunning = false }
                return state.jobs.isEmpty ? nil : state.jobs.removeFirst()
            }
        }
    #endif
}
