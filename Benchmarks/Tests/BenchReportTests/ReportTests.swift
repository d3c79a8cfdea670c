import BenchReport
import Foundation
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

// Foundation has a type of this name, too.
private typealias Measurement = BenchReport.Measurement

@Suite("The report")
struct ReportTests {
    private let measurements = [
        Measurement("zbigdb", "update", seconds: 1, operations: 600, extra: ["best_seconds": .number(0.9)]),
        Measurement("raw-lmdb", "update", seconds: 2, operations: 600),
        Measurement("<script>", "update", seconds: 4, operations: 600),
        Measurement("zbigdb", "scan", seconds: 1, bytes: 1 << 30, params: ["cold": .flag(true)]),
        Measurement("zbigdb", "something new", seconds: 1, operations: 5),
    ]

    private func recorded() throws -> RecordedFigures {
        try RecordedFigures(
            json: """
                {"groups": [{"origin": "another machine", "note": "long ago & far away", "figures": [
                {"system": "numpy", "workload": "update", "ops_per_s": 1480},
                {"system": "nobody", "workload": "create", "MBps": 1}]}]}
                """)
    }

    /// The page as a parser sees it: a page that is well-formed XML is well-formed.
    private func parse(_ page: String) throws -> XMLProbe {
        let xml = page.replacingOccurrences(of: "<!doctype html>", with: "")
            .replacingOccurrences(of: "<meta charset=\"utf-8\">", with: "")
            .replacingOccurrences(
                of: "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">", with: "")
        let probe = XMLProbe()
        let parser = XMLParser(data: Data(xml.utf8))
        parser.delegate = probe
        #expect(parser.parse(), "\(String(describing: parser.parserError)) in line \(parser.lineNumber)")
        return probe
    }

    @Test("The page is well-formed, whatever the systems are called, and has a bar for each figure")
    func wellFormed() throws {
        let page = HTMLReport(measurements: measurements, recorded: try recorded()).text()
        let probe = try parse(page)
        // Those of the legend, five measured, one recorded.
        #expect(probe.count("rect") == 4 + 5 + 1)
        #expect(!page.contains("<script"))
    }

    @Test("Nothing is fetched from anywhere")
    func selfContained() throws {
        let page = HTMLReport(measurements: measurements, recorded: try recorded()).text()
        for text in ["http:", "https:", "src=", "@import", "href=", "<link"] {
            #expect(!page.contains(text), "\(text)")
        }
    }

    @Test("Recorded figures are marked, and shown only beside measured ones")
    func marksRecorded() throws {
        let page = HTMLReport(measurements: measurements, recorded: try recorded()).text()
        #expect(
            page.contains(
                "<tr class=\"recorded\"><th scope=\"row\">numpy</th><td></td><td>1,480 /s</td><td></td>"
                    + "<td>another machine</td></tr>"))
        #expect(page.contains("long ago &amp; far away"))
        #expect(page.contains("<g class=\"recorded\"><title>numpy: 1,480 /s, another machine</title>"))
        #expect(!page.contains("nobody"))
    }

    @Test("Ratios are against the baselines of the same run")
    func ratios() throws {
        let page = HTMLReport(measurements: measurements).text()
        #expect(page.contains("<th scope=\"row\">update</th><td>600 /s</td><td>2</td>"))
        #expect(!page.contains("another machine"))
    }

    @Test("Longer bars for more, and the best first")
    func bars() throws {
        let page = HTMLReport(measurements: Array(measurements.prefix(2))).text()
        let probe = try parse(page)
        let widths = probe.attributes("rect", "height", "16", "width").compactMap(Double.init)
        #expect(widths.count == 2)
        #expect(widths == widths.sorted(by: >))
        // A factor of two, on a scale from 100 to 1000.
        #expect(abs(widths[0] - widths[1] - log10(2.0) * 428) < 0.2)
    }

    @Test("Of two measurements of one thing the later counts")
    func later() {
        let again = Measurement("zbigdb", "update", seconds: 1, operations: 777)
        let page = HTMLReport(measurements: measurements + [again]).text()
        #expect(page.contains("777 /s") && !page.contains(">600 /s</text>\n<text>"))
        #expect(page.components(separatedBy: "zbigdb: ").count == 4)
    }

    @Test("A page of nothing is a page")
    func empty() throws { _ = try parse(HTMLReport(measurements: []).text()) }

    @Test("The recorded figures of the project can be read, and none lacks a number")
    func projectFigures() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Data/recorded.json").standardized
        let figures = try RecordedFigures(json: String(contentsOf: path, encoding: .utf8))
        #expect(figures.groups.count > 1)
        for figure in figures.groups.flatMap(\.figures) {
            let hasNumber =
                figure.megabytesPerSecond != nil || figure.operationsPerSecond != nil
                || figure.extra?.isEmpty == false
            #expect(hasNumber, "\(figure)")
        }
    }

    @Test("The terminal's table has the ratios")
    func terminal() {
        let text = TextReport.text(measurements)
        #expect(text.contains("2 of raw-lmdb"))
        #expect(text.contains("scan (cold)"))
    }
}

/// Notes the elements of a page.
private final class XMLProbe: NSObject, XMLParserDelegate {
    private var elements: [(name: String, attributes: [String: String])] = []

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) { elements.append((name, attributes)) }

    func count(_ name: String) -> Int { elements.count { $0.name == name } }

    /// An attribute of the elements where another one has this value.
    func attributes(_ name: String, _ key: String, _ value: String, _ wanted: String) -> [String] {
        elements.filter { $0.name == name && $0.attributes[key] == value }.compactMap {
            $0.attributes[wanted]
        }
    }
}
