import ArgumentParser
import ZBigDB

/// `zbigdb verify`
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check everything that is stored; exit code 1 if something is wrong."
    )

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let start = ContinuousClock.now
        let report = try Session.read(database) { database, _ in
            var progress: ProgressBar?
            defer { progress = nil }
            return try database.verify { state in
                if progress == nil { progress = ProgressBar("checking", total: state.total) }
                progress?.update(state.done) { HumanText.count($0, "block") }
            }
        }
        var output = StandardOutput()
        if json {
            output.line(
                JSON.object([
                    "blocks": .integer(report.blocks), "ok": .bool(report.problems.isEmpty),
                    "pages": .integer(report.pages),
                    "problems": .array(report.problems.map { .string($0.description) }),
                    "records": .integer(report.records), "transactions": .integer(report.transactions),
                ]).prettyText)
        } else {
            for problem in report.problems { output.line("\(problem)") }
            output.line(
                "Checked \(HumanText.count(report.records, "record")), "
                    + "\(HumanText.count(report.blocks, "block")), "
                    + "\(HumanText.count(report.pages, "page")) and "
                    + "\(HumanText.count(report.transactions, "transaction")) "
                    + "in \(HumanText.duration(ContinuousClock.now - start)): "
                    + (report.problems.isEmpty ? "all is well." : "something is wrong."))
        }
        try output.flush()
        if !report.problems.isEmpty { throw ToolError.damaged(problems: report.problems.count) }
    }
}
