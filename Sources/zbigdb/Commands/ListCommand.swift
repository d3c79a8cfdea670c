import ArgumentParser
import ZBigDB

/// `zbigdb ls`
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the names in a database.")

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        try Session.read(database, at: moment) { _, connection in
            var table = TextTable([
                "name": .left, "dtype": .left, "shape": .left, "order": .left, "compression": .left,
                "size": .right,
            ])
            var entries: [JSON] = []
            for name in try connection.root.names() {
                guard let object = try connection.root.object(name) else { continue }
                try object.activate()
                guard let array = object as? BigArray else {
                    let kind = "\(type(of: object))"
                    table.add(name, "(\(kind))", "", "", "", "")
                    entries.append(.object(["kind": .string(kind), "name": .string(name)]))
                    continue
                }
                table.add(
                    name, array.dtype.description, ArrayShape.text(array.shape), array.order.description,
                    array.compression.description, HumanText.bytes(array.byteCount))
                entries.append(.object(array.facts(name)))
            }
            var output = StandardOutput()
            if json {
                output.line(JSON.array(entries).prettyText)
            } else if entries.isEmpty {
                output.line("No names yet.")
            } else {
                for line in table.lines { output.line(line) }
            }
            try output.flush()
        }
    }
}

extension BigArray {
    /// What is known without reading an element.
    func facts(_ name: String) -> [String: JSON] {
        [
            "bytes": .integer(byteCount), "compression": .string(compression.description),
            "count": .integer(count), "dtype": .string(dtype.description), "kind": .string("BigArray"),
            "name": .string(name), "order": .string(order.description),
            "shape": .shape(shape),
        ]
    }
}
