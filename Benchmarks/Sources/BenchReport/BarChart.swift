import Foundation

/// Horizontal bars on a log scale, as SVG that takes its colours from the page.
struct BarChart {
    let metric: Metric
    let rows: [ReportRow]

    private static let width = 760
    private static let labelWidth = 236
    private static let valueWidth = 96
    private static let rowHeight = 24
    private static let top = 8
    private static let axisHeight = 22

    /// Nothing where no row has the number, or all have zero.
    func svg() -> String {
        let shown = rows.compactMap { row in metric.value(row).map { (row, $0) } }
            .sorted { metric.isMoreBetter ? $0.1 > $1.1 : $0.1 < $1.1 }
        guard let scale = LogScale(shown.map(\.1)) else { return "" }
        let plot = Double(Self.width - Self.labelWidth - Self.valueWidth)
        let bottom = Self.top + shown.count * Self.rowHeight
        let height = bottom + Self.axisHeight
        let what = "\(metric.title), \(metric.isMoreBetter ? "more" : "less") is better, log scale"
        let box = "0 0 \(Self.width) \(height)"
        var parts = ["<svg viewBox=\"\(box)\" role=\"img\" aria-label=\"\(HTML.escaped(what))\">"]
        for tick in scale.ticks {
            let x = Self.place(Double(Self.labelWidth) + scale.position(tick) * plot)
            parts.append(
                """
                <line class="grid" x1="\(x)" y1="\(Self.top)" x2="\(x)" y2="\(bottom)"/>
                <text class="tick" x="\(x)" y="\(height - 7)">\(HTML.escaped(metric.text(tick)))</text>
                """)
        }
        for (index, (row, value)) in shown.enumerated() {
            parts.append(bar(row, value, Self.top + index * Self.rowHeight, scale.position(value) * plot))
        }
        return (parts + ["</svg>"]).joined(separator: "\n")
    }

    private func bar(_ row: ReportRow, _ value: Double, _ y: Int, _ length: Double) -> String {
        let text = HTML.escaped(metric.text(value))
        let name = HTML.escaped(row.system)
        let middle = y + Self.rowHeight / 2 + 4
        let from = row.origin.map { ", " + HTML.escaped($0) } ?? ""
        return """
            <g class="\(row.kind.rawValue)"><title>\(name): \(text)\(from)</title>
            <text class="name" x="\(Self.labelWidth - 8)" y="\(middle)">\(name)</text>
            <rect x="\(Self.labelWidth)" y="\(y + 4)" width="\(Self.place(max(length, 1)))" \
            height="\(Self.rowHeight - 8)" rx="2"/>
            <text class="value" x="\(Self.place(Double(Self.labelWidth) + length + 6))" y="\(middle)">\(text)\
            </text></g>
            """
    }

    private static func place(_ number: Double) -> String { String(format: "%.1f", number) }
}
