import Foundation

@testable import ZBigDB

/// A folder of its own for a test, removed at the end.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "zbigdb-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String = "test.zbigdb") -> String { path + "/" + name }
}

extension Database.Configuration {
    /// Small blocks, so that tests reach many of them quickly.
    static var small: Self {
        var configuration = Self()
        configuration.blockSize = 16 * 4096
        configuration.arrayReservation = 1 << 30
        return configuration
    }
}

/// A new database in a folder of its own.
struct TemporaryDatabase {
    let folder: TemporaryFolder
    let database: Database
    var path: String { database.path }

    init(_ configuration: Database.Configuration = .small) throws {
        folder = try TemporaryFolder()
        database = try Database(folder.file(), create: true, configuration: configuration)
    }
}

/// How blocks reach memory: mapped from the file, or copied.
enum LoadMode: String, CaseIterable, Sendable {
    case maps, copies

    var configuration: Database.Configuration {
        var configuration = Database.Configuration.small
        configuration.mapsBlocks = self == .maps
        return configuration
    }
}
