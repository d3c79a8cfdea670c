import ArgumentParser
import ZBigDB

/// `zbigdb set`
struct SetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract:
            "Change items of an array, a property, an entry of a map or an element of a list, in one transaction; prints its number.",
        discussion: """
            VALUE is a number, true or false, text, or nested lists of those as JSON, which are broadcast to \
            the slice by NumPy's rules. Records are JSON objects by field name; --field changes one field \
            and leaves the others. What does not fit the type of the items is refused. In a list the index \
            behind the last element adds one.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The name of the array, object, map or list.")
    var name: PlainText

    @Argument(help: "What to change, such as '3, 0' or '...' for everything, a property, a key or an index.")
    var slice: PlainText

    @Argument(help: "What to store, such as 1.5, true, '[1, 2, 3]'.")
    var value: PlainText

    @Option(help: "Change only this field of records.")
    var field: PlainText?

    @Option(name: [.customShort("m"), .customLong("note")], help: "A note for the log.")
    var note: PlainText?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let (tid, count) = try Session.write(database) { connection in
            if let object = try connection.root.object(name.text), !(object is BigArray), let oid = object.oid
            {
                let value = StoredValue(typed: value.text)
                let stored = try connection.storedObject(oid)
                if stored.className == MapObject.className || stored.isList {
                    try connection.setStoredEntry(value, for: StoredValue(typed: slice.text), of: oid)
                } else {
                    try connection.setStored(value, for: slice.text, of: oid)
                }
                return (try connection.commitAsUser(note: note?.text ?? "set \(name.text) \(slice.text)"), 1)
            }
            let part = try connection.root.array(name.text).part(slice.text, field: field?.text)
            let items = try ElementEncoder.encode(
                try ElementEncoder.parse(value.text, for: part.dtype), as: part.dtype)
            // As NumPy: more axes than the target has are fine if they have length 1.
            let extra = items.shape.prefix(max(0, items.shape.count - part.shape.count)).prefix { $0 == 1 }
            let layout = try StridedLayout(
                shape: Array(items.shape.dropFirst(extra.count)), itemSize: part.dtype.itemSize)
            try items.bytes.withUnsafeBytes { try part.setBytes($0, layout: layout) }
            try Interruption.check()
            let field = field.map { " field \($0.text)" } ?? ""
            let note = note?.text ?? "set \(name.text)[\(slice.text)]\(field)"
            return (try connection.commitAsUser(note: note), part.count)
        }
        if json {
            try StandardOutput.print(
                JSON.object([
                    "count": .integer(count), "tid": tid.map { .string($0.description) } ?? .null,
                ]).prettyText)
        } else {
            try StandardOutput.print(tid.map(\.description) ?? "nothing to change")
        }
    }
}
