import ArgumentParser
import Foundation
import ZBigDB

/// `zbigdb create`
struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make an empty database. An existing file is never touched.")

    @Argument(help: ArgumentHelp("The file to make.", valueName: "db"))
    var database: PlainText

    @Option(help: "Bytes in a block of its arrays, such as 64KiB; a multiple of the page size.")
    var blockSize: ByteSize?

    @Option(
        help: ArgumentHelp(
            "How its arrays are compressed unless told otherwise: none, zstd or zstd:LEVEL (1 to 19)."))
    var compression: CompressionOption?

    @Flag(help: "Keep old versions of everything, for history, undo and --at.")
    var history = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let path = database.text
        // Whoever makes the file first has it: two commands at a time cannot both succeed.
        let (descriptor, code) = SystemFile.call {
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else {
            if code == EEXIST { throw StorageError.exists(path: path) }
            throw ToolError.system(doing: "creating", path: path, errno: code)
        }
        close(descriptor)
        var configuration = Database.Configuration()
        configuration.keepsHistory = history
        if let blockSize { configuration.blockSize = blockSize.bytes }
        if let compression { configuration.compression = compression.compression }
        do {
            let information = try Database(path, create: true, configuration: configuration).information()
            let size = information.blockSize
            let compression = information.compression
            try StandardOutput.print(
                json
                    ? JSON.object([
                        "blockSize": .integer(size), "compression": .string(compression.description),
                        "path": .string(path),
                    ]).prettyText
                    : "Created \(path) with blocks of \(HumanText.bytes(size))"
                        + (compression == .none ? "." : ", compressed with \(compression)."))
        } catch {
            unlink(path)
            unlink(path + "-lock")
            throw error
        }
    }
}
