import ArgumentParser
import ZBigDB

/// `zbigdb tag`
struct TagCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag",
        abstract: "Give moments names, by which --at finds them and which pack leaves alone.",
        subcommands: [List.self, Add.self, Remove.self])

    /// `zbigdb tag list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the tags of a database.")

        @Argument(help: ArgumentHelp("The database.", valueName: "db"))
        var database: PlainText

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let tags = try Session.read(database) { database, _ in try database.tags() }
            var output = StandardOutput()
            if json {
                output.line(JSON.array(tags.map(\.json)).prettyText)
            } else if tags.isEmpty {
                output.line("No tags.")
            } else {
                var table = TextTable(["name": .left, "transaction": .left, "date (UTC)": .left])
                for tag in tags { table.add(tag.name, tag.tid.description, HumanText.date(tag.tid)) }
                for line in table.lines { output.line(line) }
            }
            try output.flush()
        }
    }

    /// `zbigdb tag add`
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a moment a name; prints the last transaction it shows.")

        @Argument(help: ArgumentHelp("The database.", valueName: "db"))
        var database: PlainText

        @Argument(help: "The new tag.")
        var name: PlainText

        @Option(
            help: ArgumentHelp(
                "A transaction, a date in UTC, or another tag; now if left out.", valueName: "tid|date|tag"))
        var at: PlainText?

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let database = try Database(database.text)
            let tag = try database.addTag(
                name.text, at: try at.map { try Moment(typed: $0.text, in: database) })
            try StandardOutput.print(json ? tag.json.prettyText : tag.tid.description)
        }
    }

    /// `zbigdb tag rm`
    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Remove a tag. What only it shows goes with the next pack.")

        @Argument(help: ArgumentHelp("The database.", valueName: "db"))
        var database: PlainText

        @Argument(help: "The tag.")
        var name: PlainText

        func run() throws { try Database(database.text).removeTag(name.text) }
    }
}

extension Tag {
    fileprivate var json: JSON {
        .object([
            "date": .string(HumanText.isoDate(tid)), "name": .string(name), "tid": .string(tid.description),
        ])
    }
}
