import Foundation

/// Standard output with a buffer of its own, so that a full disk or a closed pipe is an error.
struct StandardOutput: TextOutputStream {
    private var buffer: [UInt8] = []
    private var failure: Int32?

    /// Adds text, which is written when enough of it has come together.
    mutating func write(_ text: String) {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= 1 << 16 { drain() }
    }

    /// Adds a line.
    mutating func line(_ text: String = "") {
        write(text)
        write("\n")
    }

    /// Writes what is left.
    ///
    /// - Throws: ``ToolError/system(doing:path:errno:)``.
    mutating func flush() throws {
        drain()
        if let failure { throw ToolError.system(doing: "writing", path: "standard output", errno: failure) }
    }

    private mutating func drain() {
        defer { buffer.removeAll(keepingCapacity: true) }
        if failure != nil { return }
        failure = buffer.withUnsafeBytes { bytes in
            do throws(SystemFailure) {
                try SystemFile.write(bytes, to: STDOUT_FILENO)
                return nil
            } catch {
                return error.errno
            }
        }
    }

    /// Writes lines at once.
    static func print(_ text: String) throws {
        var output = StandardOutput()
        output.line(text)
        try output.flush()
    }
}

/// Standard error, unbuffered. Nobody can be told of its failures.
enum StandardError {
    /// Whether a person may be watching.
    static let isTerminal = isatty(STDERR_FILENO) == 1

    static func write(_ text: String) {
        var text = text
        text.withUTF8 { try? SystemFile.write(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
    }
}
