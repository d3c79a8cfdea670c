import ArgumentParser
import ZBigDB

/// `zbigdb stats`
struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Count, minimum, maximum, mean, standard deviation and sum of an array, in one pass.",
        discussion: """
            The standard deviation is that of the population. As in NumPy, one NaN makes every result NaN. \
            The sum of integers is exact. Half and single precision are added up in double precision.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The array's name.")
    var name: PlainText

    @Option(help: "The field to look at, if the array holds records.")
    var field: PlainText?

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let result = try Session.read(database, at: moment) { _, connection in
            let array = try connection.root.array(name.text)
            var progress = ProgressBar("reading \(name.text)", total: array.byteCount)
            return try Statistics.compute(array, field: field?.text, of: name.text) { progress.update($0) }
        }
        if json {
            try StandardOutput.print(
                JSON.object([
                    "count": .integer(result.count), "max": result.maximum?.json ?? .null,
                    "mean": .real(result.mean), "min": result.minimum?.json ?? .null,
                    "std": .real(result.standardDeviation), "sum": result.sum.json,
                ]).prettyText)
        } else {
            var output = StandardOutput()
            output.line("count  \(HumanText.count(result.count))")
            output.line("min    \(result.minimum?.text ?? "-")")
            output.line("max    \(result.maximum?.text ?? "-")")
            output.line("mean   \(DecimalText.scalar(result.mean, limit: 1e16))")
            output.line("std    \(DecimalText.scalar(result.standardDeviation, limit: 1e16))")
            output.line("sum    \(result.sum.text)")
            try output.flush()
        }
    }
}

extension Statistics.Number {
    fileprivate var json: JSON {
        switch self {
        case .integer(let value): .integer(value)
        case .real(let value): .real(value)
        case .bool(let value): .bool(value)
        }
    }

    fileprivate var text: String {
        switch self {
        case .integer(let value): String(value)
        case .real(let value): DecimalText.scalar(value, limit: 1e16)
        case .bool(let value): value ? "True" : "False"
        }
    }
}
