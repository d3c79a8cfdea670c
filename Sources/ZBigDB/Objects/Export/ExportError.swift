/// A file of exported objects cannot be read. Nothing of it was imported.
public enum ExportError: Error, Equatable, CustomStringConvertible {
    /// The file is something else.
    case notAnExport(path: String)
    /// The file was written in a form this version does not know.
    case unsupportedVersion(path: String, found: UInt64, supported: UInt64)
    /// The file ends early: it was cut off, or its writing never finished.
    case truncated(path: String)
    /// The file's bytes contradict themselves; `byte` is where the part begins that cannot be right.
    case damaged(path: String, byte: Int, reason: String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .notAnExport(let path): "\(path): no file of exported objects"
        case .unsupportedVersion(let path, let found, let supported):
            "\(path): form \(found) of exported objects; this program reads form \(supported); "
                + "use the program that wrote it or a newer one"
        case .truncated(let path): "\(path): the file ends early; nothing was imported; export it again"
        case .damaged(let path, let byte, let reason):
            "\(path): damaged at byte \(byte): \(reason); nothing was imported; export it again"
        }
    }
}

/// How far an export or import is.
public struct ExportProgress: Sendable {
    /// Objects done.
    public let objects: Int
    /// Objects known to be there; while exporting more may be found.
    public let known: Int
    /// Bytes written or read.
    public let bytes: Int
}

/// What an export or import did.
public struct ExportReport: Sendable, Equatable {
    /// Objects, arrays with their files counted as two.
    public internal(set) var objects = 0
    /// Entries of maps and sets, and elements of lists.
    public internal(set) var entries = 0
    /// Blocks of arrays.
    public internal(set) var blocks = 0
    /// Bytes of the file.
    public internal(set) var bytes = 0
}
