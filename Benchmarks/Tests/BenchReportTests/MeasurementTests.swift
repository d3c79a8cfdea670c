import Testing

@testable import BenchReport

@Suite("JSON lines")
struct MeasurementTests {
    private let measurement = Measurement(
        "zbigdb", "scan", seconds: 0.5, bytes: 1_000_000_000,
        params: ["cold": .flag(false), "after_updates": .number(500)],
        extra: ["growth_bytes": .number(12_288), "codec": .text("a/b")])

    @Test("A line has every key of the format, with null for what is not known")
    func keys() throws {
        #expect(
            try measurement.json() == """
                {"MBps":2000,"bytes":1000000000,"extra":{"codec":"a/b","growth_bytes":12288},\
                "ops_per_s":null,"params":{"after_updates":500,"cold":false},"seconds":0.5,\
                "system":"zbigdb","workload":"scan"}
                """)
    }

    @Test("A line reads back as it was")
    func roundTrip() throws {
        #expect(try Measurement.lines(measurement.json() + "\n\n") == [measurement])
    }

    @Test("Lines of other programs are read: other order of the keys, integers, spaces")
    func foreign() throws {
        let line = """
            {"system": "h5py", "workload": "randread", "params": {"case": "first"}, "seconds": 2,
            """
        let found = try Measurement.lines(
            line + #" "bytes": 0, "MBps": null, "ops_per_s": 12300.5, "extra": {}}"#)
        #expect(found.first?.operationsPerSecond == 12_300.5)
        #expect(found.first?.megabytesPerSecond == nil)
        #expect(found.first?.task.caseName == "first")
    }

    @Test("What is no measurement is named by its line")
    func malformed() throws {
        let text = try measurement.json() + "\n{\"system\": 3}\n"
        #expect(throws: MalformedLine(number: 2, text: "{\"system\": 3}")) {
            try Measurement.lines(text)
        }
    }

    @Test("No speed without time, and none of what was not counted")
    func speeds() {
        #expect(Measurement("a", "b", seconds: 0, bytes: 5, operations: 5).operationsPerSecond == nil)
        #expect(Measurement("a", "b", seconds: 2).speed == 0.5)
        #expect(Measurement("a", "b", seconds: 2, operations: 10).speed == 5)
    }
}
