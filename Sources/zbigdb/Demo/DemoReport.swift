/// What the demo has to tell: as it goes, and as a table at the end.
struct DemoReport {
    private struct Step {
        let title: String
        let result: String
        let duration: Duration
    }

    private let isJSON: Bool
    private var steps: [Step] = []
    private var positions: [JSON] = []
    private let start = ContinuousClock.now

    init(json: Bool) { isJSON = json }

    /// Tells something; programs do not hear it.
    func say(_ text: String = "") throws { if !isJSON { try StandardOutput.print(text) } }

    /// Does something, and notes what came of it and how long it took.
    mutating func step<R>(_ title: String, _ body: (borrowing DemoReport) throws -> (R, String)) throws -> R {
        try Interruption.check()
        try say(steps.isEmpty ? title : "\n\(title)")
        let start = ContinuousClock.now
        let (value, result) = try body(self)
        let duration = ContinuousClock.now - start
        steps.append(Step(title: title, result: result, duration: duration))
        try say("  \(result) (\(HumanText.duration(duration)))")
        return value
    }

    mutating func add(_ known: KnownPosition, _ position: Position, difference: Double) {
        positions.append(
            .object([
                "body": .string(known.body), "computed": position.json, "day": .real(known.day),
                "difference": .real(difference), "expected": known.position.json,
            ]))
    }

    /// The table of everything done.
    func finish(kept path: String?) throws {
        let total = ContinuousClock.now - start
        if isJSON {
            let rows = steps.map { step in
                JSON.object([
                    "result": .string(step.result), "seconds": .real(HumanText.seconds(step.duration)),
                    "step": .string(step.title),
                ])
            }
            try StandardOutput.print(
                JSON.object([
                    "database": path.map { .string($0) } ?? .null, "ok": .bool(true),
                    "positions": .array(positions), "seconds": .real(HumanText.seconds(total)),
                    "steps": .array(rows),
                ]).prettyText)
            return
        }
        var table = TextTable(["what was done": .left, "time": .right, "result": .left])
        for step in steps { table.add(step.title, HumanText.duration(step.duration), step.result) }
        try say()
        for line in table.lines { try say(line) }
        try say("\nEverything was as it should be, in \(HumanText.duration(total)).")
        if let path { try say("The database stays in \(path).") }
    }
}
