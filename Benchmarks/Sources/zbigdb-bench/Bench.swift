import ArgumentParser
import Foundation

/// Runs a workload on ZBigDB and on the baselines, in the same run.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zbigdb-bench",
        abstract: "Measures ZBigDB beside plain mmap and raw LMDB.",
        discussion: "Ratios within one run are what counts: machines differ, and shared ones drift.")

    @Argument(help: "Which workload: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")), or all.")
    var workload: String

    @Option(help: "Size of the arrays in GiB.")
    var gib: Double = 1

    @Option(help: "How often each measurement is made; the median is reported.")
    var `repeat`: Int = 3

    @Flag(help: "Print one JSON line a measurement.")
    var json = false

    @Flag(help: "scan: drop the page cache first (needs root).")
    var cold = false

    @Option(help: "A folder for the files; default a temporary one.")
    var dir: String?

    @Option(help: .hidden)
    var child: String?

    func validate() throws {
        guard workload == "all" || Workload(rawValue: workload) != nil else {
            throw ValidationError("no workload is called \"\(workload)\"")
        }
        guard gib > 0, `repeat` > 0 else {
            throw ValidationError("--gib and --repeat must be greater than 0")
        }
    }

    func run() throws {
        let folder = dir ?? NSTemporaryDirectory() + "zbigdb-bench-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var setup = Setup(folder: folder, count: Int(gib * Double(1 << 30)) / 8, isCold: cold)
        if let child {
            guard let workload = Workload(rawValue: workload) else { return }
            print(try workload.measure(child, setup).map { try $0.json() }.joined(separator: "\n"))
            return
        }
        defer { if dir == nil { try? FileManager.default.removeItem(atPath: folder) } }
        let workloads =
            workload == "all" ? Workload.allCases : [Workload(rawValue: workload)].compactMap { $0 }
        setup.repeats = `repeat`
        for workload in workloads {
            let results = try Runner(setup: setup, gib: gib).run(workload)
            if json {
                for result in results { print(try result.json()) }
            } else {
                Report.print(workload, results)
            }
        }
    }
}

/// Where and how large.
struct Setup {
    let folder: String
    /// Elements (8 bytes each) of the arrays.
    let count: Int
    let isCold: Bool
    var repeats = 1
    static let commitBytes = 256 << 20

    var bytes: Int { count * 8 }
    var plainPath: String { folder + "/plain" }
    var lmdbPath: String { folder + "/raw.lmdb" }
    var databasePath: String { folder + "/bench.zbigdb" }
}
