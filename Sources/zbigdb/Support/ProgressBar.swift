/// A bar on the terminal's standard error; nothing where there is no terminal.
struct ProgressBar: ~Copyable {
    private let label: String
    private let total: Int
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant
    private var isDrawn = false

    private static let width = 30
    private static let interval = Duration.milliseconds(100)

    init(_ label: String, total: Int) {
        self.label = label
        self.total = total
        lastDrawn = start
    }

    /// Shows how much of the total is done; what is quickly done is never shown.
    mutating func update(_ done: Int, unit: (Int) -> String = HumanText.bytes) {
        guard StandardError.isTerminal, total > 0 else { return }
        let now = ContinuousClock.now
        guard now - lastDrawn >= Self.interval else { return }
        lastDrawn = now
        isDrawn = true
        let fraction = min(1, Double(done) / Double(total))
        let filled = Int(fraction * Double(Self.width))
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: Self.width - filled)
        let elapsed = now - start
        let rest = fraction > 0 ? HumanText.duration(elapsed * (1 / fraction - 1)) : "?"
        let percent = Int(fraction * 100)
        StandardError.write(
            "\r\u{1B}[K\(label) [\(bar)] \(percent) % of \(unit(total)), \(rest) left")
    }

    deinit { if isDrawn { StandardError.write("\r\u{1B}[K") } }
}
