import Foundation

/// Where the demo's database lies: a folder that stays, or a temporary one.
struct DemoFolder: ~Copyable {
    let path: String
    let isTemporary: Bool

    /// - Parameter named: a folder to keep; nil for a temporary one.
    init(_ named: String?) throws {
        path = named ?? NSTemporaryDirectory() + "zbigdb-demo-" + UUID().uuidString
        isTemporary = named == nil
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ToolError.system(doing: "making the folder", path: path, errno: ENOTDIR)
        }
    }

    var database: String { (path as NSString).appendingPathComponent("demo.zbigdb") }

    deinit { if isTemporary { try? FileManager.default.removeItem(atPath: path) } }
}
