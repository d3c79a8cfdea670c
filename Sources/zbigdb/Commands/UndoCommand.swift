import ArgumentParser
import Foundation
import ZBigDB

/// `zbigdb undo`
struct UndoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo",
        abstract: "Undo transactions, as one new transaction; prints its number.",
        discussion: """
            Everything they changed becomes what it was before them. If something was changed again since, nothing is \
            undone, and the message says what and by which transaction; undo both, then. An undo can be undone. \
            Without transactions the ones that can be undone are listed, the newest first.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The numbers of the transactions, as log prints them.")
    var tid: [PlainText] = []

    @Option(name: [.customShort("m"), .customLong("note")], help: "A note for the log.")
    var note: PlainText?

    @Option(help: "How many transactions to list at most.")
    var limit = 20

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit must be 1 or more.") }
        if let wrong = tid.first(where: { TID(typed: $0.text) == nil }) {
            throw ValidationError("\"\(wrong.text)\" is no number of a transaction; see the log.")
        }
    }

    func run() throws {
        Interruption.watch()
        if tid.isEmpty { return try list() }
        let database = try Database(database.text)
        let undone = try database.undo(
            tid.compactMap { TID(typed: $0.text) }, user: NSUserName(), note: note?.text)
        let text = undone?.description
        try StandardOutput.print(
            json
                ? JSON.object(["tid": text.map { .string($0) } ?? .null]).prettyText
                : text ?? "nothing to change")
    }

    private func list() throws {
        try Session.read(database) { database, _ in
            var output = StandardOutput()
            let records = try database.undoableTransactions(limit: limit)
            if json {
                output.line(JSON.array(records.map(\.json)).prettyText)
            } else {
                for (index, record) in records.enumerated() {
                    if index > 0 { output.line() }
                    record.write(to: &output)
                }
                if records.isEmpty { output.line("Nothing to undo.") }
            }
            try output.flush()
        }
    }
}
