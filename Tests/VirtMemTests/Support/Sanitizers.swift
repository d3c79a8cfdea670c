import Foundation
import Testing

/// The sanitizer the tests run under; `Scripts/sanitize` says so. Some tests need what it takes away.
private let sanitizer = ProcessInfo.processInfo.environment["ZBIGDB_SANITIZER"]

/// Not where a sanitizer needs kernel mappings, or a handler, of its own.
let withoutSanitizer = ConditionTrait.enabled(if: sanitizer == nil, "not under a sanitizer")

/// Not where signals are held back and masks are changed, or addresses are few.
let withoutThreadSanitizer = ConditionTrait.enabled(if: sanitizer != "thread", "not under ThreadSanitizer")

/// How many kernel mappings may come and go beside the engine's. ThreadSanitizer makes
/// some for what is mapped and unmapped.
let mappingsBeside = sanitizer == "thread" ? 1000 : 100
