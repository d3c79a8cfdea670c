/// Columns of text for people.
struct TextTable {
    enum Alignment { case left, right }

    private var rows: [[String]] = []
    private let alignments: [Alignment]

    /// A table with these column titles.
    init(_ columns: KeyValuePairs<String, Alignment>) {
        alignments = columns.map(\.value)
        rows = [columns.map(\.key)]
    }

    mutating func add(_ cells: String...) { rows.append(cells) }

    /// The lines, with a line of dashes below the titles.
    var lines: [String] {
        let widths = alignments.indices.map { column in
            rows.map { $0[column].count }.max() ?? 0
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                text +=
                    (column > 0 ? "  " : "") + (alignments[column] == .left ? cell + padding : padding + cell)
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        var lines = rows.map(line)
        lines.insert(line(widths.map { String(repeating: "-", count: $0) }), at: 1)
        return lines
    }
}
