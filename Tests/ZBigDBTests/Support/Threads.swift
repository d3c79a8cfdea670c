import Dispatch
import Foundation
import Synchronization

/// Runs `body` in so many threads of their own at once, whatever else the test run does, and returns what each
/// returned.
func inThreads<R: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) throws -> R) throws -> [R] {
    let results = Results<R>(count)
    let done = DispatchSemaphore(value: 0)
    for index in 0..<count {
        Thread.detachNewThread {
            results.set(index, Result { try body(index) })
            done.signal()
        }
    }
    for _ in 0..<count { done.wait() }
    return try results.all.map { try $0.get() }
}

/// The same without keeping the thread of the test: others can run meanwhile.
func awaitingThreads<R: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) throws -> R) async throws
    -> [R]
{
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try inThreads(count, body) }) }
    }
}

private final class Results<R: Sendable>: Sendable {
    private let values: Mutex<[Result<R, any Error>?]>

    init(_ count: Int) { values = Mutex(Array(repeating: nil, count: count)) }
    func set(_ index: Int, _ value: Result<R, any Error>) { values.withLock { $0[index] = value } }
    var all: [Result<R, any Error>] { values.withLock { $0.compactMap { $0 } } }
}
