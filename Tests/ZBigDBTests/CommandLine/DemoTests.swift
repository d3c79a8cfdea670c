import Foundation
import Testing

@Suite struct DemoTests {
    private struct Report: Decodable {
        struct Step: Decodable {
            let step: String
            let seconds: Double
            let result: String
        }
        struct Known: Decodable {
            let body: String
            let difference: Double
            let computed: [Double]
            let expected: [Double]
        }
        let ok: Bool
        let steps: [Step]
        let positions: [Known]
    }

    private static let data = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Data/de421").path

    @Test("The demo does what it says")
    func demo() throws {
        let tool = try ToolRunner()
        let result = try tool("demo", "--data", Self.data, "--json")
        try #require(result.exitCode == 0, "\(result.errors)")
        let report = try result.decoded(as: Report.self)
        #expect(report.ok)
        #expect(report.steps.count == 9)
        #expect(report.positions.map(\.body) == ["Mars", "Earth-Moon", "Mars", "Sun"])
        for known in report.positions {
            #expect(known.difference <= 1e-3)
            for (computed, expected) in zip(known.computed, known.expected) {
                #expect(abs(computed - expected) <= 1e-3)
            }
        }
    }

    @Test("The demo's database can be kept and looked at")
    func kept() throws {
        let tool = try ToolRunner()
        let result = try tool("demo", "kept", "--data", Self.data)
        try #require(result.exitCode == 0, "\(result.errors)")
        #expect(!result.text.contains("\u{1B}"))
        let names = try tool("ls", "kept/demo.zbigdb").text
        for name in ["mars", "earthmoon", "sun", "constants", "synthetic"] { #expect(names.contains(name)) }
        #expect(try tool("verify", "kept/demo.zbigdb").exitCode == 0)
        #expect(try tool("get", "kept/demo.zbigdb", "synthetic", "-1").text == "4.0\n")
        // What was moved was moved back: the tables are those that were imported.
        for (name, file) in [("mars", "jpl-mars"), ("sun", "jpl-sun"), ("constants", "constants")] {
            #expect(try tool("export", "kept/demo.zbigdb", name, "out.npy").exitCode == 0)
            let same = try tool.numPy(
                "a = np.load(folder + '/out.npy'); b = np.load('\(Self.data)/\(file).npy')\n"
                    + "print(a.dtype == b.dtype and a.tobytes() == b.tobytes())")
            #expect(same == "True\n", "\(name)")
        }
        #expect(try tool("demo", "kept", "--data", Self.data).exitCode == 1)
        let missing = try tool("demo", "--data", ".")
        #expect(missing.exitCode == 1 && missing.errors.contains("--data"))
    }
}
