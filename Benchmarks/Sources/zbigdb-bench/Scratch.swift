import Foundation

/// The folder for everything that is measured.
enum Scratch {
    static func make(in directory: String) throws -> String {
        let name = "zbigdb-bench-" + UUID().uuidString
        let folder = URL(fileURLWithPath: directory).appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    static func remove(_ folder: String) { try? FileManager.default.removeItem(atPath: folder) }
}
