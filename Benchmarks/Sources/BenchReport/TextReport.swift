/// Tables for people, on a terminal.
package enum TextReport {
    /// The baselines that others are compared with.
    private static let baselines = ["plain-mmap", "plain-read", "plain-pwrite", "raw-lmdb", "raw-lmdb-4KiB"]

    package static func text(_ measurements: [Measurement]) -> String {
        var tasks: [BenchTask] = []
        for measurement in measurements where !tasks.contains(measurement.task) {
            tasks.append(measurement.task)
        }
        return tasks.map { task in table(task, measurements.filter { $0.task == task }) }
            .joined(separator: "\n")
    }

    private static func table(_ task: BenchTask, _ rows: [Measurement]) -> String {
        let name = task.caseName
        var cells = [["", "time", "speed", "compared with", "besides"]]
        for row in rows {
            cells.append([
                row.system, Quantity.seconds(row.seconds), speed(row), ratios(row, rows), besides(row.extra),
            ])
        }
        return task.workload + (name.isEmpty ? "" : " (\(name))") + "\n" + aligned(cells)
    }

    private static func speed(_ row: Measurement) -> String {
        let parts = [
            row.operationsPerSecond.map(Quantity.perSecond),
            row.megabytesPerSecond.map(Quantity.megabytesPerSecond),
        ]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }

    /// `0.51 of plain-mmap`: more is better.
    private static func ratios(_ row: Measurement, _ rows: [Measurement]) -> String {
        guard !baselines.contains(row.system) else { return "" }
        return baselines.compactMap { name in
            rows.first { $0.system == name && $0.speed > 0 }
                .map { "\(Quantity.plain(row.speed / $0.speed)) of \(name)" }
        }.joined(separator: ", ")
    }

    /// Everything of `extra`, by name.
    static func besides(_ extra: [String: Measurement.Value]) -> String {
        extra.sorted { $0.key < $1.key }.map { name, value in
            let label = Quantity.label(name)
            return switch value {
            case .number(let number): "\(label) \(Quantity.named(name, number))"
            case .text(let text): "\(label) \(text)"
            case .flag(let flag): "\(label) \(flag ? "yes" : "no")"
            }
        }.joined(separator: ", ")
    }

    private static func aligned(_ rows: [[String]]) -> String {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = " "
            for column in 0..<columns where widths[column] > 0 {
                let padding = widths[column] - row[column].count + 1
                line += " " + row[column] + String(repeating: " ", count: padding)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
