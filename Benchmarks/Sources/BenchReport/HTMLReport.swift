import Foundation

/// One page of everything that was measured, which needs nothing else to be shown.
package struct HTMLReport {
    private let rows: [ReportRow]
    private let recorded: RecordedFigures
    private let note: String

    /// Of a system measured twice on one task the later measurement counts.
    ///
    /// - Parameter note: on which machine it was measured, and when.
    package init(
        measurements: [Measurement], recorded: RecordedFigures = RecordedFigures(), note: String = ""
    ) {
        var latest: [ReportRow] = []
        for measurement in measurements {
            let row = ReportRow(measurement)
            if let known = latest.firstIndex(where: { $0.system == row.system && $0.task == row.task }) {
                latest[known] = row
            } else {
                latest.append(row)
            }
        }
        // What nobody measured here has nothing to stand beside.
        let tasks = Set(latest.map(\.task))
        for group in recorded.groups {
            latest += group.figures.map { ReportRow($0, origin: group.origin) }
                .filter { tasks.contains($0.task) }
        }
        rows = latest
        self.recorded = recorded
        self.note = note
    }

    /// The page.
    package func text() -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>ZBigDB: what was measured</title>
        <style>
        \(Stylesheet.text)
        </style></head><body>
        <h1>ZBigDB: what was measured</h1>
        <p>Ratios within one run are what counts: machines differ, and shared ones drift. Bars are on log \
        scales.</p>
        \(note.isEmpty ? "" : "<p><strong>This run</strong>: \(HTML.escaped(note))</p>")
        \(Self.hatch)
        \(legend)
        \(sources)
        \(summary)
        \(WorkloadText.ordered(Set(rows.map(\.task.workload))).map(section).joined(separator: "\n"))
        </body></html>

        """
    }

    // MARK: Above the workloads

    /// The pattern of what was not measured in this run, by which it is told without colours, too.
    private static let hatch = """
        <svg width="0" height="0" style="position:absolute;width:0;min-width:0" aria-hidden="true"><defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <line x1="0" y1="0" x2="0" y2="6" style="stroke:var(--recorded)" stroke-width="3" opacity="0.55"/>
        </pattern></defs></svg>
        """

    private var legend: String {
        let kinds = ReportRow.Kind.allCases.filter { kind in rows.contains { $0.kind == kind } }
        let items = kinds.map { kind in
            """
            <li class="\(kind.rawValue)"><svg viewBox="0 0 26 12" aria-hidden="true">\
            <rect x="0.5" y="0.5" width="25" height="11" rx="2"/></svg>\(kind.legend)</li>
            """
        }
        return "<ul class=\"legend\">\n\(items.joined(separator: "\n"))\n</ul>"
    }

    private var sources: String {
        let origins = Set(rows.compactMap(\.origin))
        return recorded.groups.filter { origins.contains($0.origin) }.map { group in
            "<p><strong>\(HTML.escaped(group.origin))</strong>: \(HTML.escaped(group.note ?? ""))</p>"
        }.joined(separator: "\n")
    }

    /// Ours beside the baselines, a line a task.
    private var summary: String {
        let baselines = ["plain-mmap", "raw-lmdb"]
        let lines = tasks(of: rows).compactMap { task -> (style: String, cells: [String])? in
            let all = rows.filter { $0.task == task }
            let metric = Metric.speed(of: all.filter { $0.kind != .recorded })
            guard !WorkloadText.of(task.workload).hidesSpeed,
                let ours = all.first(where: { $0.system == "zbigdb" }), let value = metric.value(ours)
            else { return nil }
            let ratios = baselines.map { name in
                let other = all.first { $0.system == name && $0.kind == .baseline }.flatMap(metric.value)
                guard let other, other > 0, value > 0 else { return "" }
                return Quantity.plain(metric.isMoreBetter ? value / other : other / value)
            }
            return ("", [Self.title(task), metric.text(value)] + ratios)
        }
        if lines.isEmpty { return "" }
        return "<h2>At a glance</h2><p>How fast, and that in times the baselines of the same run.</p>"
            + HTML.table(["workload", "ZBigDB"] + baselines.map { "of \($0)" }, lines)
    }

    // MARK: Workloads

    private func tasks(of rows: [ReportRow]) -> [BenchTask] {
        var tasks: [BenchTask] = []
        for workload in WorkloadText.ordered(Set(rows.map(\.task.workload))) {
            for row in rows where row.task.workload == workload && !tasks.contains(row.task) {
                tasks.append(row.task)
            }
        }
        return tasks
    }

    private static func title(_ task: BenchTask) -> String {
        task.caseName.isEmpty ? task.workload : "\(task.workload), \(task.caseName)"
    }

    private func section(_ workload: String) -> String {
        let tasks = tasks(of: rows.filter { $0.task.workload == workload })
        return """
            <h2 id="\(HTML.escaped(workload))">\(HTML.escaped(workload))</h2>
            <p>\(HTML.escaped(WorkloadText.of(workload).explanation))</p>
            \(tasks.map(card).joined(separator: "\n"))
            """
    }

    private func card(_ task: BenchTask) -> String {
        let all = rows.filter { $0.task == task }
        let text = WorkloadText.of(task.workload)
        let metrics = (text.hidesSpeed ? [] : [Metric.speed(of: all)]) + text.metrics
        let charts = metrics.compactMap { metric -> String? in
            let chart = BarChart(metric: metric, rows: all).svg()
            if chart.isEmpty { return nil }
            let hint = metric.isMoreBetter ? "more is better" : "less is better"
            return "<h4>\(HTML.escaped(metric.title)), \(hint)</h4><div class=\"scroll\">\(chart)</div>"
        }
        let title = task.caseName.isEmpty ? "" : "<h3>\(HTML.escaped(task.caseName))</h3>"
        let sizes = Set(all.compactMap(\.bytes))
        let warning =
            sizes.count > 1 ? "<p>Not all systems had the same amount of data; see the figures.</p>" : ""
        return """
            <section class="task">\(title)\(warning)
            \(charts.joined(separator: "\n"))
            <details><summary>Figures</summary>
            \(figures(all))
            </details></section>
            """
    }

    private func figures(_ rows: [ReportRow]) -> String {
        HTML.table(
            ["system", "data", "time", "per second", "throughput", "besides", "from"],
            rows.map { row in
                (
                    row.kind.rawValue,
                    [
                        row.system,
                        row.bytes.map { Quantity.bytes(Double($0)) } ?? "",
                        row.seconds.map(Quantity.seconds) ?? "",
                        row.operationsPerSecond.map(Quantity.perSecond) ?? "",
                        row.megabytesPerSecond.map(Quantity.megabytesPerSecond) ?? "",
                        TextReport.besides(row.extra), row.origin ?? "",
                    ]
                )
            })
    }
}
