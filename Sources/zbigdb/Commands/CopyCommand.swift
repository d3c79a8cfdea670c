import ArgumentParser
import ZBigDB

/// `zbigdb copy`
struct CopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Copy a database while it is in use.",
        discussion: """
            The copy has the database as its last transaction left it, with its log, old versions and tags. \
            It appears when it is complete.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: ArgumentHelp("The new file.", valueName: "copy"))
    var copy: PlainText

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        var configuration = Database.Configuration()
        configuration.isReadOnly = true
        let database = try Database(database.text, configuration: configuration)
        var bar: ProgressBar?
        let bytes = try database.copy(to: copy.text) { progress in
            try Interruption.check()
            if bar == nil { bar = ProgressBar("copying", total: progress.total) }
            bar?.update(progress.bytes)
        }
        bar = nil
        if json {
            try StandardOutput.print(
                JSON.object(["bytes": .integer(bytes), "file": .string(copy.text)]).prettyText)
        } else {
            try StandardOutput.print(
                "Copied \(HumanText.bytes(bytes)) to \(copy.text) "
                    + "in \(HumanText.duration(ContinuousClock.now - start)).")
        }
    }
}
