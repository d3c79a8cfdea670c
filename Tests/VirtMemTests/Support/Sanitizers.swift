import Foundation
import Testing

/// Whether the tests run under AddressSanitizer or ThreadSanitizer: `Scripts/sanitize` says so.
let isSanitized = ProcessInfo.processInfo.environment["ZBIGDB_SANITIZER"] != nil

/// How a fault that nobody serves ends the process. A sanitizer installs a handler
/// before ours, which reports the fault and exits with a code of its own.
var unrecoveredFault: ExitTest.Condition { isSanitized ? .failure : .signal(SIGSEGV) }
