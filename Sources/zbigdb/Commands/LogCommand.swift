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

    @Flag(help: "Print JSON.")
    var json = false

    private static let pageLength = 1000

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() throws {
        Interruption.watch()
        try Session.read(database) { database, _ in
            var output = StandardOutput()
            var before: TID?
            var listed = 0
            if json { output.write("[") }
            while listed < limit ?? .max {
                try Interruption.check()
                let page = try database.transactions(
                    before: before, limit: min(Self.pageLength, (limit ?? .max) - listed))
                for record in page {
                    if json {
                        output.write(listed > 0 ? ",\n  " : "\n  ")
                        output.write(Self.json(record).text)
                    } else {
                        if listed > 0 { output.line() }
                        Self.write(record, to: &output)
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

    private static func json(_ record: TransactionRecord) -> JSON {
        .object([
            "blocks": .integer(record.changedBlocks), "date": .string(HumanText.isoDate(record.tid)),
            "metadata": .object(record.metadata.mapValues { .string($0) }), "note": .string(record.note),
            "objects": .integer(record.changedObjects), "tid": .string(record.tid.description),
            "user": .string(record.user),
        ])
    }

    private static func write(_ record: TransactionRecord, to output: inout StandardOutput) {
        let user = record.user.isEmpty ? "" : "  \(record.user)"
        output.line("\(record.tid)  \(HumanText.date(record.tid)) UTC\(user)")
        for line in record.note.split(separator: "\n", omittingEmptySubsequences: false)
        where !record.note.isEmpty {
            output.line("    \(line)")
        }
        for (name, value) in record.metadata.sorted(by: { $0.key < $1.key }) {
            output.line("    \(name): \(value)")
        }
        output.line(
            "    \(HumanText.count(record.changedObjects, "object")), "
                + "\(HumanText.count(record.changedBlocks, "block")) changed")
    }
}
