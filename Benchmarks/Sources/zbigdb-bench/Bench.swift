import ArgumentParser

/// Runs workloads on ZBigDB and on the baselines, and shows what came out.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zbigdb-bench",
        abstract: "Measures ZBigDB beside plain mmap and raw LMDB.",
        subcommands: [RunCommand.self, ReportCommand.self],
        defaultSubcommand: RunCommand.self)
}
