import ArgumentParser

/// The command line tool.
@main
struct Tool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zbigdb",
        abstract: "Big arrays in a transactional database, from the command line.",
        discussion: """
            DB is the path of a database file, NAME the name of an array in it. SLICE is NumPy's index \
            text without the brackets: '3426', '0:10, ::-1', '..., 0', '-1'. An argument that begins \
            with '-' and a letter goes after '--'.

            Problems are told on standard error. The exit code is 0 if all went well, 1 if not, 64 if \
            the command was not understood, and 130 after Ctrl-C.
            """,
        version: "0.1.0",
        subcommands: [
            CreateCommand.self, ImportCommand.self, ExportCommand.self, ListCommand.self, InfoCommand.self,
            GetCommand.self, SetCommand.self, DumpCommand.self, RemoveCommand.self, StatsCommand.self,
            LogCommand.self, HistoryCommand.self, UndoCommand.self, TagCommand.self,
            VerifyCommand.self, PackCommand.self, CompactCommand.self, CopyCommand.self,
            ExportObjectsCommand.self, ImportObjectsCommand.self,
            DemoCommand.self, DemoObserverCommand.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot(PlainText.protecting(CommandLine.arguments.dropFirst()))
            try command.run()
        } catch let interruption as Interrupted {
            StandardError.write("\(interruption)\n")
            exit(withError: ExitCode(130))
        } catch {
            exit(withError: error)
        }
    }
}
