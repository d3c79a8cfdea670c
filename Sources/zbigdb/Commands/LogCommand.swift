import ArgumentParser
import ZBigDB

/// `zbigdb log`
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "List the transactions of a database, the newest first.")

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Option(help: "How many transactions to list at most.")
    var limit: Int?

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    private static let pageLength = 1000

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() throws {
        Interruption.watch()
        try Session.read(database, at: moment) { database, connection in
            var output = StandardOutput()
            var before = try connection.moment.map { _ in TID(rawValue: try connection.tid.rawValue + 1) }
            var listed = 0
            if json { output.write("[") }
            while listed < limit ?? .max {
                try Interruption.check()
                let page = try database.transactions(
                    before: before, limit: min(Self.pageLength, (limit ?? .max) - listed))
                for record in page {
                    if json {
                        output.write(listed > 0 ? ",\n  " : "\n  ")
                        output.write(record.json.text)
                    } else {
                        if listed > 0 { output.line() }
                        record.write(to: &output)
                    }
                    listed += 1
                }
                guard let last = page.last, page.count == Self.pageLength else { break }
                before = last.tid
            }
            if json { output.line(listed > 0 ? "\n]" : "]") }
            try output.flush()
        }
    }
}

extension TransactionRecord {
    var json: JSON {
        .object([
            "blocks": .integer(changedBlocks), "date": .string(HumanText.isoDate(tid)),
            "metadata": .object(metadata.mapValues { .string($0) }), "note": .string(note),
            "objects": .integer(changedObjects), "tid": .string(tid.description),
            "user": .string(user),
        ])
    }

    func write(to output: inout StandardOutput) {
        for line in HumanText.transaction(tid, user: user, note: note) { output.line(line) }
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
            output.line("    \(name): \(value)")
        }
        output.line(
            "    \(HumanText.count(changedObjects, "object")), "
                + "\(HumanText.count(changedBlocks, "block")) changed")
    }
}
