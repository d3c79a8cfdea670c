import ArgumentParser
import ZBigDB

/// `zbigdb export`
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write an array to a NumPy .npy file.",
        discussion: """
            The file appears, or is replaced, when it is complete. FILE can be '-' for standard output.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The array's name.")
    var name: PlainText

    @Argument(help: ArgumentHelp("The .npy file.", valueName: "file.npy"))
    var file: PlainText

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON, unless the array goes to standard output.")
    var json = false

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        let bytes = try Session.read(database, at: moment) { _, connection in
            try NpyExport.run(try connection.root.array(name.text), name: name.text, to: file.text)
        }
        if file.text == "-" { return }
        if json {
            try StandardOutput.print(
                JSON.object([
                    "bytes": .integer(bytes), "file": .string(file.text), "name": .string(name.text),
                ]).prettyText)
        } else {
            try StandardOutput.print(
                "Exported \"\(name.text)\" to \(file.text): \(HumanText.bytes(bytes)) "
                    + "in \(HumanText.duration(ContinuousClock.now - start)).")
        }
    }
}
