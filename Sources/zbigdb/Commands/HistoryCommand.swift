import ArgumentParser
import ZBigDB

/// `zbigdb history`
struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List what transactions made of an object, a map or an array, the newest first.",
        discussion: """
            For an object that is its properties, for a map the keys that changed, for an array its blocks. Only \
            databases that keep history have more than the last state.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The name of the object, or its number as dump prints it.")
    var name: PlainText

    @Option(help: "How many transactions to list at most.")
    var limit = 20

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() throws {
        Interruption.watch()
        try Session.read(database, at: moment) { _, connection in
            let versions = try connection.history(of: try oid(connection), limit: limit)
            var output = StandardOutput()
            if json {
                output.line(JSON.array(versions.map(\.json)).prettyText)
            } else {
                for (index, version) in versions.enumerated() {
                    if index > 0 { output.line() }
                    for line in version.lines { output.line(line) }
                }
            }
            try output.flush()
        }
    }

    private func oid(_ connection: Connection) throws -> OID {
        if let oid = try connection.root.object(name.text)?.oid { return oid }
        guard name.text.hasPrefix("0x"), let number = UInt64(name.text.dropFirst(2), radix: 16) else {
            throw DatabaseError.missingName(path: connection.path, name: name.text)
        }
        return OID(rawValue: number)
    }
}

extension ObjectVersion {
    fileprivate var json: JSON {
        .object([
            "blocks": .array(blocks.map { .integer($0) }), "bytes": .integer(size),
            "class": state.map { .string($0.className) } ?? .null, "date": .string(HumanText.isoDate(tid)),
            "entries": .array(entries.map(\.json)), "metadata": .object(metadata.mapValues { .string($0) }),
            "note": .string(note), "removed": .bool(isRemoval), "state": state?.properties.json ?? .null,
            "tid": .string(tid.description), "user": .string(user),
        ])
    }

    fileprivate var lines: [String] {
        var lines = HumanText.transaction(tid, user: user, note: note)
        if isRemoval { lines.append("    removed") }
        if case .map(let fields) = state?.properties {
            lines += fields.map { "    \($0.key.plain): \($0.value.text)" }
        }
        if !entries.isEmpty { lines.append("    entries: " + Self.some(entries.map(\.text))) }
        if !blocks.isEmpty { lines.append("    blocks: " + Self.some(blocks.map(\.description))) }
        return lines
    }

    private static func some(_ items: [String]) -> String {
        items.prefix(20).joined(separator: ", ")
            + (items.count > 20 ? " and \(HumanText.count(items.count - 20)) more" : "")
    }
}
