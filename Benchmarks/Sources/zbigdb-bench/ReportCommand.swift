import ArgumentParser
import BenchReport
import Foundation

/// Makes one page of what was measured.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Make a page with plots of JSON lines.")

    @Argument(help: "Files of JSON lines, as `run --json` and the peers' script write them.")
    var files: [String]

    @Option(help: "A file of figures recorded elsewhere, shown beside ours and marked as such.")
    var recorded: String?

    @Option(name: [.short, .long], help: "Where the page goes.")
    var output = "report.html"

    @Option(help: "On which machine, and when; shown at the top.")
    var note = ""

    @Flag(help: "Print the figures as tables, too.")
    var tables = false

    func run() throws {
        var measurements: [Measurement] = []
        for file in files { measurements += try Measurement.lines(try text(file)) }
        let recorded = try self.recorded.map { try RecordedFigures(json: text($0)) }
        let report = HTMLReport(
            measurements: measurements, recorded: recorded ?? RecordedFigures(), note: note)
        try report.text().write(toFile: output, atomically: true, encoding: .utf8)
        if tables { print(TextReport.text(measurements)) }
        print(output)
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    }
}
