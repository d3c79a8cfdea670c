import ArgumentParser
import ZBigDB

/// `zbigdb get`
struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print an array or a slice of it, as NumPy does.",
        discussion: """
            Above 1000 items only the first and last of each axis are printed, and read. With --json all \
            items are printed as nested lists: records as objects by field name, byte strings as text with \
            one character for each byte, raw bytes as hexadecimal digits, and numbers that are not finite \
            as the strings "NaN", "Infinity" and "-Infinity".
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The array's name.")
    var name: PlainText

    @Argument(help: "What to print, such as '0:10, ::-1'; everything if left out.")
    var slice: PlainText?

    @Option(help: "Print only this field of records.")
    var field: PlainText?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        try Session.read(database) { _, connection in
            let part = try connection.root.array(name.text).part(slice?.text, field: field?.text)
            var output = StandardOutput()
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

extension BigArray {
    /// The slice that was typed.
    func part(_ slice: String?, field: String?) throws -> BigArraySlice {
        let part = try slice.map { try self.slice(try SliceExpression(parsing: $0)) } ?? all
        return try field.map { try part.field($0) } ?? part
    }
}
