/// One of the numbers that a chart can show.
struct Metric: Sendable {
    let title: String
    let isMoreBetter: Bool
    let value: @Sendable (ReportRow) -> Double?
    let text: @Sendable (Double) -> String

    static let operations = Metric(
        title: "operations per second", isMoreBetter: true, value: { $0.operationsPerSecond },
        text: { Quantity.perSecond($0) })
    static let throughput = Metric(
        title: "throughput", isMoreBetter: true, value: { $0.megabytesPerSecond },
        text: { Quantity.megabytesPerSecond($0) })
    static let time = Metric(
        title: "time", isMoreBetter: false, value: { $0.seconds }, text: { Quantity.seconds($0) })

    /// A number of `extra`.
    static func extra(_ name: String, _ title: String, isMoreBetter: Bool = false) -> Metric {
        Metric(
            title: title, isMoreBetter: isMoreBetter, value: { $0.extra[name]?.number },
            text: { Quantity.named(name, $0) })
    }

    /// What tells how fast the systems are on a task; of several the one that most of them have.
    static func speed(of rows: [ReportRow]) -> Metric {
        func count(_ metric: Metric) -> Int { rows.count { metric.value($0) != nil } }
        let (operations, throughput) = (count(.operations), count(.throughput))
        if operations == 0, throughput == 0 { return .time }
        return operations >= throughput ? .operations : .throughput
    }
}
