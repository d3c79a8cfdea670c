import Foundation

/// What went wrong in the part of a test that is in a process of its own, whose messages nobody sees: it is
/// told in a file beside the database.
struct ChildFailure: Error {
    let what: String

    init(_ what: String) { self.what = what }

    /// Runs that part.
    static func reporting(_ path: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            try "\(error)".write(toFile: path + ".failure", atomically: true, encoding: .utf8)
            throw error
        }
    }

    /// What it has told; nil if nothing went wrong.
    static func reported(_ path: String) -> String? {
        try? String(contentsOfFile: path + ".failure", encoding: .utf8)
    }
}
