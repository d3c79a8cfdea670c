import ArgumentParser
import ZBigDB

/// `zbigdb export-objects`
struct ExportObjectsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-objects",
        abstract: "Write objects, maps, lists and arrays, with all they refer to, to a file.",
        discussion: """
            import-objects reads it, into any database. Needs no program that knows the classes. The file \
            is a sequence of CBOR items, and appears when it is complete.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The file.")
    var file: PlainText

    @Argument(help: ArgumentHelp("Which names; all if left out.", valueName: "name"))
    var names: [PlainText] = []

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        let report = try Session.read(database, at: moment) { _, connection in
            let names = names.isEmpty ? try connection.root.names() : names.map(\.text)
            var roots: [String: any PersistentReference] = [:]
            for name in names {
                guard let object = try connection.root.object(name) else {
                    throw DatabaseError.missingName(path: connection.path, name: name)
                }
                roots[name] = object
            }
            let progress = ObjectProgress("exporting")
            return try connection.exportObjects(roots, to: file.text) { try progress.update($0) }
        }
        if json {
            try StandardOutput.print(
                JSON.object([
                    "blocks": .integer(report.blocks), "bytes": .integer(report.bytes),
                    "entries": .integer(report.entries), "file": .string(file.text),
                    "objects": .integer(report.objects),
                ]).prettyText)
        } else {
            try StandardOutput.print(
                "Exported \(HumanText.count(report.objects, "object")) to \(file.text): "
                    + "\(HumanText.bytes(report.bytes)) in \(HumanText.duration(ContinuousClock.now - start))."
            )
        }
    }
}
