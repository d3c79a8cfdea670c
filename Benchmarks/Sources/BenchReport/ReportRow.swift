/// One system's figures on one task, wherever they are from.
struct ReportRow {
    /// Who was measured, and where.
    enum Kind: String, CaseIterable {
        case ours, baseline, peer, recorded

        var legend: String {
            switch self {
            case .ours: "ZBigDB, this run"
            case .baseline: "baseline, this run"
            case .peer: "another system, on this machine"
            case .recorded: "recorded elsewhere"
            }
        }
    }

    var system: String
    var kind: Kind
    var task: BenchTask
    var seconds: Double?
    /// How much data it was, if the workload says so.
    var bytes: Int?
    var megabytesPerSecond: Double?
    var operationsPerSecond: Double?
    var extra: [String: Measurement.Value]
    /// Where recorded figures are from.
    var origin: String?

    init(_ measurement: Measurement) {
        system = measurement.system
        kind = Self.kind(of: measurement.system)
        task = measurement.task
        seconds = measurement.seconds
        bytes = measurement.bytes > 0 ? measurement.bytes : nil
        megabytesPerSecond = measurement.megabytesPerSecond
        operationsPerSecond = measurement.operationsPerSecond
        extra = measurement.extra
    }

    init(_ figure: RecordedFigures.Figure, origin: String) {
        system = figure.system
        kind = .recorded
        task = BenchTask(workload: figure.workload, params: figure.params ?? [:])
        megabytesPerSecond = figure.megabytesPerSecond
        operationsPerSecond = figure.operationsPerSecond
        extra = figure.extra ?? [:]
        self.origin = origin
    }

    static func kind(of system: String) -> Kind {
        if system.hasPrefix("zbigdb") || system.hasPrefix("virtmem") { return .ours }
        return system.hasPrefix("plain-") || system.hasPrefix("raw-lmdb") ? .baseline : .peer
    }
}
