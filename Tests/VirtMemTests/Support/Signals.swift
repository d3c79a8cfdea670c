import Foundation
import Testing

/// A page of address space that nobody may touch and that is not the engine's.
func forbiddenPage() -> UnsafeMutableRawPointer {
    mmap(nil, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
}

/// What a process of a test wrote to standard error.
func text(_ result: ExitTest.Result?) -> String {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
}

/// Says on standard error that the test got here.
func mark(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(2, line, line.count)
}

/// Threads of the test library block signals, and threads inherit that.
func unblock(_ number: Int32) {
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, number)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
}

/// What `mark` says where a test must come before it may end.
let reached = "reached the point"
