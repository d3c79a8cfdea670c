import Foundation
import Testing

/// The README's quick start is a program that is built and run.
@Suite struct QuickStartTests {
    private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.package.appendingPathComponent(path), encoding: .utf8)
    }

    @Test("the README shows the programs that are built", arguments: ["QuickStart", "Objects", "History"])
    func same(_ name: String) throws {
        let program = try text("Snippets/\(name).swift")
        let readme = try text("README.md")
        let start = try #require(
            readme.range(
                of:
                    "<!-- Snippets/\(name).swift; a test keeps the two the same -->\n```swift\nimport ZBigDB\n"
            ))
        let end = try #require(readme.range(of: "\n```", range: start.upperBound..<readme.endIndex))
        let shown = readme[start.upperBound..<end.lowerBound]
        let body = try #require(program.range(of: "import ZBigDB\n"))
        #expect(String(shown) + "\n" == String(program[body.upperBound...]))
    }

    @Test(
        "they print what their comments say",
        arguments: zip(
            ["QuickStart", "Objects", "History"],
            [
                "21.75 20.5\n21.75\n", "100 [\"ann\"]\n",
                "1.5 150.0\n1.5 [\"undo: a slip\", \"a slip\", \"opened\"]\n",
            ]))
    func run(_ name: String, _ expected: String) throws {
        let folder = try TemporaryFolder()
        let process = Process()
        process.executableURL = try ToolRunner.tool(name)
        process.arguments = [folder.file()]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(String(decoding: data, as: UTF8.self) == expected)
    }
}
