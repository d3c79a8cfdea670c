import ArgumentParser
import ZBigDB

/// `zbigdb pack`
struct PackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack",
        abstract: "Remove old versions, and objects and arrays that no name leads to any more.",
        discussion: """
            What can be seen from the given moment on stays, and what tags show. It works while others use the \
            database, and can be interrupted. The file does not get shorter by it, its space is used again; see compact.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Option(
        help: ArgumentHelp(
            "From when on versions stay: a transaction, a date in UTC, or a tag; now if left out.",
            valueName: "tid|date|tag"))
    var before: PlainText?

    @Flag(help: "Remove old versions only.")
    var keepUnreachable = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        // Without a connection: its snapshot would pin what is given back.
        let database = try Database(database.text)
        let moment = try before.map { try Moment(typed: $0.text, in: database) }
        let progress = RecordProgress()
        let report = try database.pack(before: moment, collectsGarbage: !keepUnreachable) {
            try progress.update($0.phase.rawValue, $0.done, of: $0.total)
        }
        progress.end()
        if json {
            try StandardOutput.print(
                JSON.object([
                    "objects": .integer(report.removedObjects),
                    "start": report.start.map { .string($0.description) } ?? .null,
                    "used_bytes": .integer(report.usedBytesAfter),
                    "versions": .integer(report.removedVersions),
                ]).prettyText)
        } else {
            try StandardOutput.print(
                "Removed \(HumanText.count(report.removedVersions, "old version")) and "
                    + "\(HumanText.count(report.removedObjects, "object")) "
                    + "in \(HumanText.duration(ContinuousClock.now - start)).")
        }
    }
}
