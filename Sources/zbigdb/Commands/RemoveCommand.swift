import ArgumentParser
import ZBigDB

/// `zbigdb rm`
struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract:
            "Remove a name, an entry of a map, or an element of a list, in one transaction; prints its number.",
        discussion: "The object itself keeps its space, and stays if something else refers to it.")

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The name.")
    var name: PlainText

    @Argument(help: "The key of an entry of the map of this name, or the index of an element of the list.")
    var key: PlainText?

    @Option(name: [.customShort("m"), .customLong("note")], help: "A note for the log.")
    var note: PlainText?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let tid = try Session.write(database) { connection in
            guard let object = try connection.root.object(name.text), let oid = object.oid else {
                throw DatabaseError.missingName(path: connection.path, name: name.text)
            }
            guard let key else {
                try connection.root.remove(name.text)
                return try connection.commitAsUser(note: note?.text ?? "rm \(name.text)")
            }
            try connection.setStoredEntry(nil, for: StoredValue(typed: key.text), of: oid)
            return try connection.commitAsUser(note: note?.text ?? "rm \(name.text) \(key.text)")
        }
        let text = tid.map(\.description)
        try StandardOutput.print(
            json
                ? JSON.object(["tid": text.map { .string($0) } ?? .null]).prettyText
                : text ?? "nothing to change")
    }
}
