/// Text as HTML wants it.
enum HTML {
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    /// A table; the first column is text, the others are numbers. Columns with nothing in them are left out.
    static func table(_ headers: [String], _ rows: [(style: String, cells: [String])]) -> String {
        let columns = headers.indices.filter { column in rows.contains { !$0.cells[column].isEmpty } }
        let head = columns.map { "<th scope=\"col\">\(escaped(headers[$0]))</th>" }.joined()
        let body = rows.map { row in
            let cells = columns.map { column in
                column == 0
                    ? "<th scope=\"row\">\(escaped(row.cells[column]))</th>"
                    : "<td>\(escaped(row.cells[column]))</td>"
            }
            return "<tr class=\"\(row.style)\">\(cells.joined())</tr>"
        }
        return """
            <div class="scroll"><table><thead><tr>\(head)</tr></thead>
            <tbody>
            \(body.joined(separator: "\n"))
            </tbody></table></div>
            """
    }
}
