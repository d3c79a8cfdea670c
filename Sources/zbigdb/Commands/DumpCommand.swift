import ArgumentParser
import ZBigDB

/// `zbigdb dump`
struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Print objects, maps and lists, and everything they refer to.",
        discussion: "Needs no program that knows their classes. Elements of arrays are not printed; see get.")

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "Where to begin; the names of the database if left out.")
    var name: PlainText?

    @Option(help: "How many entries of each map, and elements of each list, are printed.")
    var limit = 100

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        try Session.read(database, at: moment) { _, connection in
            var start = OID.root
            if let name {
                guard let oid = try connection.root.object(name.text)?.oid else {
                    throw DatabaseError.missingName(path: connection.path, name: name.text)
                }
                start = oid
            }
            let printer = ObjectPrinter(connection: connection, limit: limit)
            var output = StandardOutput()
            var seen: Set<OID> = [start]
            var queue = [start]
            var next = 0
            if json { output.write("[") }
            while next < queue.count {
                try Interruption.check()
                let oid = queue[next]
                if json {
                    output.write(next > 0 ? ",\n" : "\n")
                    output.write(try printer.json(oid).text)
                } else {
                    if next > 0 { output.line() }
                    for line in try printer.lines(oid) { output.line(line) }
                }
                next += 1
                for other in try printer.references(oid) where seen.insert(other).inserted {
                    queue.append(other)
                }
            }
            if json { output.line("\n]") }
            try output.flush()
        }
    }
}
