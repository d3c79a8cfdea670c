import ArgumentParser
import ZBigDB

/// `zbigdb import-objects`
struct ImportObjectsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-objects",
        abstract: "Read the objects of a file that export-objects wrote, in one transaction.",
        discussion: """
            They get numbers of their own, and the names they were exported by.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The file.")
    var file: PlainText

    @Option(help: "What the names in the database begin with.")
    var prefix: PlainText?

    @Flag(help: "Give names to what was imported that belong to something else.")
    var replace = false

    @Option(name: [.customShort("m"), .customLong("note")], help: "A note for the log.")
    var note: PlainText?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let (names, tid) = try Session.write(database) { connection in
            let progress = ObjectProgress("importing")
            let objects = try connection.importObjects(from: file.text) { try progress.update($0) }
            var names: [String] = []
            for (name, object) in objects.sorted(by: { $0.key < $1.key }) {
                let name = (prefix?.text ?? "") + name
                if !replace, try connection.root.object(name) != nil {
                    throw ToolError.nameExists(name: name)
                }
                try connection.root.set(name, object)
                names.append(name)
            }
            let note = note?.text ?? "import-objects \(file.text)"
            return (names, try connection.commitAsUser(note: note))
        }
        let text = tid.map(\.description)
        if json {
            try StandardOutput.print(
                JSON.object([
                    "names": .array(names.map { .string($0) }), "tid": text.map { .string($0) } ?? .null,
                ]).prettyText)
        } else {
            try StandardOutput.print(
                names.isEmpty
                    ? "nothing to import"
                    : "Imported " + names.map { "\"\($0)\"" }.joined(separator: ", ") + ": \(text ?? "").")
        }
    }
}
