import Foundation
import Testing

/// Ends the process, and so the test run, if a test of the suite hangs: a thread that hangs in a
/// fault cannot be ended otherwise. For suites whose tests need no process of their own.
struct Watched: SuiteTrait, TestTrait, TestScoping {
    let seconds: Int
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [seconds] in
            if done.wait(timeout: .now() + .seconds(seconds)) == .success { return }
            mark("watchdog: \"\(test.displayName ?? test.name)\" still runs after \(seconds) s")
            _exit(97)
        }
        defer { done.signal() }
        try await function()
    }
}

extension Trait where Self == Watched {
    /// Up to a time that only a hang can use up.
    static var watched: Watched { Watched(seconds: 120) }
}
