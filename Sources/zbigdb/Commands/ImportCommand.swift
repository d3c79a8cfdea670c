import ArgumentParser
import ZBigDB

/// `zbigdb import`
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Bring a NumPy .npy file into a database as an array.",
        discussion: """
            All of the array is imported, in one transaction, or nothing. Big-endian items are turned, \
            Fortran order is kept. FILE can be '-' for standard input.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The name of the new array.")
    var name: PlainText

    @Argument(help: ArgumentHelp("The .npy file.", valueName: "file.npy"))
    var file: PlainText

    @Flag(help: "Let the name stand for the new array if it is taken.")
    var replace = false

    @Option(help: "How the array is compressed: none, zstd or zstd:LEVEL (1 to 19). The database's own way.")
    var compression: CompressionOption?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        let name = name.text
        let input = try InputFile(file.text)
        let (result, tid) = try Session.write(database) { connection in
            if !replace, try connection.root.object(name) != nil { throw ToolError.nameExists(name: name) }
            let result = try NpyImport.run(
                input, as: name, into: connection, compression: compression?.compression)
            try Interruption.check()
            return (result, try connection.commitAsUser(note: "import \(input.path)"))
        }
        if result.extraBytes > 0 {
            StandardError.write(
                "Note: \(input.path) has \(HumanText.bytes(result.extraBytes)) after the array, "
                    + "which were not imported.\n")
        }
        let header = result.header
        if json {
            try StandardOutput.print(
                JSON.object([
                    "bytes": .integer(header.dataByteCount), "dtype": .string(header.dtype.description),
                    "name": .string(name), "order": .string(header.order.description),
                    "shape": .shape(header.shape), "tid": tid.map { .string($0.description) } ?? .null,
                ]).prettyText)
        } else {
            let elapsed = ContinuousClock.now - start
            try StandardOutput.print(
                "Imported \"\(name)\": \(header.dtype) \(ArrayShape.text(header.shape)), "
                    + "\(HumanText.bytes(header.dataByteCount)) in \(HumanText.duration(elapsed)), "
                    + "transaction \(tid.map(\.description) ?? "-").")
        }
    }
}
