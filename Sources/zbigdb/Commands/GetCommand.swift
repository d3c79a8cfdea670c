import ArgumentParser
import ZBigDB

/// `zbigdb get`
struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract:
            "Print an array or a slice of it, as NumPy does; an object or one of its properties; a map or one entry; a list or elements of it.",
        discussion: """
            Above 1000 items only the first and last of each axis are printed, and read. With --json all \
            items are printed as nested lists: records as objects by field name, byte strings as text with \
            one character for each byte, raw bytes as hexadecimal digits, and numbers that are not finite \
            as the strings "NaN", "Infinity" and "-Infinity".
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The name of the array, object, map or list.")
    var name: PlainText

    @Argument(
        help: "What to print, such as '0:10, ::-1', a property, a key or an index; everything if left out.")
    var slice: PlainText?

    @Option(help: "Print only this field of records.")
    var field: PlainText?

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        try Session.read(database, at: moment) { _, connection in
            var output = StandardOutput()
            if let object = try connection.root.object(name.text), !(object is BigArray), let oid = object.oid
            {
                try print(oid, connection, to: &output)
                return try output.flush()
            }
            let part = try connection.root.array(name.text).part(slice?.text, field: field?.text)
            if json {
                try JSONItems.write(part, to: &output)
                output.line()
            } else {
                output.line(try NumPyText.text(part))
            }
            try output.flush()
        }
    }
}

extension GetCommand {
    /// An object, or what the slice names of it.
    private func print(_ oid: OID, _ connection: Connection, to output: inout StandardOutput) throws {
        guard let slice else {
            let printer = ObjectPrinter(connection: connection)
            if json {
                output.line(try printer.json(oid).prettyText)
            } else {
                for line in try printer.lines(oid) { output.line(line) }
            }
            return
        }
        if let elements = try connection.storedSlice(slice.text, of: oid) {
            if json { return output.line(JSON.array(elements.map(\.json)).prettyText) }
            for value in elements { output.line(value.plain) }
            return
        }
        let value = try connection.storedPart(slice.text, of: oid)
        output.line(json ? value.json.prettyText : value.plain)
    }
}

extension Connection {
    /// Elements of a list, such as `10:20` or `::-1`; nil if it is no list, or no slice is typed.
    func storedSlice(_ text: String, of oid: OID) throws -> [StoredValue]? {
        let object = try storedObject(oid)
        guard object.isList, let slice = try? SliceExpression(parsing: text), slice.indices.count == 1,
            case .range = slice.indices[0]
        else { return nil }
        let places = try StridedLayout(shape: [object.entryCount], itemSize: 1).applying(slice)
        let list = try self.object(oid, as: PersistentList<StoredValue>.self)
        return try (0..<places.shape[0]).map { try list[places.offset + $0 * places.strides[0]] }
    }

    /// A property of an object, an entry of a map, or an element of a list.
    func storedPart(_ name: String, of oid: OID) throws -> StoredValue {
        let object = try storedObject(oid)
        if case .map(let fields) = object.state, let field = fields.first(where: { $0.key == .text(name) }) {
            return field.value
        }
        guard let value = try storedEntry(StoredValue(typed: name), of: oid) else {
            throw ToolError.noPart(name: name, className: object.className)
        }
        return value
    }
}

extension BigArray {
    /// The slice that was typed.
    func part(_ slice: String?, field: String?) throws -> BigArraySlice {
        let part = try slice.map { try self.slice(try SliceExpression(parsing: $0)) } ?? all
        return try field.map { try part.field($0) } ?? part
    }
}
