import Foundation

/// The tables of the demo: names in the database, and files.
enum DemoData {
    static let tables = [
        ("mars", "jpl-mars.npy"), ("earthmoon", "jpl-earthmoon.npy"), ("sun", "jpl-sun.npy"),
        ("constants", "constants.npy"),
    ]

    /// The folder of the tables: the one named, or `Data/de421` in the current folder, or in one of
    /// those above the program.
    ///
    /// - Throws: ``ToolError/missingData(searched:)``.
    static func folder(_ named: String?) throws -> String {
        var candidates: [String] = []
        if let named {
            candidates = [named]
        } else {
            candidates = ["Data/de421"]
            if var folder = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent() {
                while folder.path != "/" {
                    candidates.append(folder.appendingPathComponent("Data/de421").path)
                    folder.deleteLastPathComponent()
                }
            }
        }
        let found = candidates.first { candidate in
            tables.allSatisfy { FileManager.default.isReadableFile(atPath: "\(candidate)/\($0.1)") }
        }
        guard let found else {
            throw ToolError.missingData(
                searched: named.map { [$0] } ?? ["./Data/de421", "the program's folders"])
        }
        return found
    }
}
