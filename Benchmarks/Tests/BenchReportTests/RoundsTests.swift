import Testing

@testable import BenchReport

@Suite("Rounds and phases")
struct RoundsTests {
    private func measurement(_ system: String, _ seconds: Double, _ name: String = "a") -> Measurement {
        Measurement(
            system, "scan", seconds: seconds, bytes: 1 << 20, params: ["case": .text(name)],
            extra: ["which": .number(seconds)])
    }

    @Test("The median of each system and case, with the best time, in the order of appearance")
    func medians() {
        let all = [
            measurement("x", 3), measurement("y", 1), measurement("x", 1), measurement("x", 2),
            measurement("x", 9, "b"), measurement("y", 5),
        ]
        let medians = all.mediansOfRounds()
        #expect(medians.map(\.system) == ["x", "y", "x"])
        #expect(medians.map(\.seconds) == [2, 5, 9])
        #expect(medians.map { $0.extra["best_seconds"] } == [.number(1), .number(1), nil])
        // Everything else is of the round that is the median.
        #expect(medians[0].extra["which"] == .number(2))
    }

    @Test("A later phase adds what it found, and keeps the time of the first")
    func phases() {
        var touch = measurement("x", 5)
        touch.extra = ["ms_per_block": .number(0.1)]
        let joined = [measurement("x", 3), measurement("x", 4, "b"), touch].joiningPhases()
        #expect(joined.count == 2)
        #expect(joined[0].seconds == 3)
        #expect(joined[0].extra == ["which": .number(3), "ms_per_block": .number(0.1)])
    }
}
