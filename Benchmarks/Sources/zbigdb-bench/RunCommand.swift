import ArgumentParser
import BenchReport
import Foundation

/// Runs a workload on ZBigDB and on the baselines, in the same run.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Measure; this is what happens without a subcommand.",
        discussion: "Ratios within one run are what counts: machines differ, and shared ones drift.")

    @Argument(help: "Which workloads: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")), or all.")
    var workloads: [String]

    @Option(help: "Size of the arrays in GiB; 1, and 8 for bigtxn.")
    var gib: Double?

    @Option(
        name: [.long, .customLong("repeat")],
        help: "How often each measurement is made; the median is reported. bigtxn is run once.")
    var rounds = 3

    @Option(help: "Durable transactions of update, append and zblkfmt.")
    var transactions = 500

    @Option(help: "bigtxn: MiB of changes that may be in memory; default a sixteenth of the array.")
    var budgetMib: Int?

    @Flag(help: "Print one JSON line a measurement.")
    var json = false

    @Flag(help: "scan: drop the files from the page cache first; with all, cold scans are there anyway.")
    var cold = false

    @Option(
        name: [.long, .customLong("dir")],
        help: "Where the scratch folder is made, which is removed at the end; default the system's.")
    var directory: String?

    // Of the processes that do the work.
    @Option(help: .hidden)
    var scratch: String?
    @Option(help: .hidden)
    var child: String?
    @Option(help: .hidden)
    var phase: String?

    func validate() throws {
        for name in workloads where name != "all" && Workload(rawValue: name) == nil {
            throw ValidationError("no workload is called \"\(name)\"")
        }
        guard gib ?? 1 > 0, rounds > 0, transactions > 0, budgetMib ?? 1 > 0 else {
            throw ValidationError("sizes and counts must be greater than 0")
        }
    }

    func run() throws {
        if let child, let scratch, let workload = workloads.first.flatMap(Workload.init(rawValue:)) {
            let measurements = try workload.measure(child, setup(workload, scratch, isCold: cold))
            for measurement in measurements { print(try measurement.json()) }
            return
        }
        let folder = try Scratch.make(in: directory ?? NSTemporaryDirectory())
        Interruption.watch(removing: folder)
        defer { Scratch.remove(folder) }
        for job in jobs {
            let results = try Runner(
                workload: job.workload, setup: setup(job.workload, folder, isCold: job.isCold),
                rounds: job.workload == .bigtxn ? 1 : rounds
            ).run()
            let lines = try json ? results.map { try $0.json() } : [TextReport.text(results)]
            let text = lines.map { $0 + "\n" }.joined()
            // Whoever reads along gets it now. If nobody does any more, this throws, and the run ends.
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        }
    }

    private var jobs: [(workload: Workload, isCold: Bool)] {
        if workloads.contains("all") {
            return Workload.allCases.flatMap { workload in
                workload == .scan ? [(workload, false), (workload, true)] : [(workload, false)]
            }
        }
        return workloads.compactMap(Workload.init(rawValue:)).map { ($0, cold) }
    }

    private func setup(_ workload: Workload, _ folder: String, isCold: Bool) -> Setup {
        let gib = self.gib ?? (workload == .bigtxn ? 8 : 1)
        let blocks = max(1, Int(gib * 1024) / 2)
        var setup = Setup(folder: folder, count: blocks * RawLMDB.blockBytes / 8, isCold: isCold)
        setup.transactions = transactions
        setup.budgetBytes = budgetMib.map { $0 << 20 } ?? max(setup.bytes / 16, 4 * RawLMDB.blockBytes)
        setup.phase = phase
        return setup
    }
}
