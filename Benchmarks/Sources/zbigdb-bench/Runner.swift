import BenchReport
import Foundation

/// Runs a workload's measurements, each in a process of its own.
struct Runner {
    let workload: Workload
    let setup: Setup
    let rounds: Int

    /// The medians of all rounds.
    func run() throws -> [Measurement] {
        if workload.systems.isEmpty {
            say("\(workload.rawValue): the library has nothing to measure here yet")
            return []
        }
        var all: [Measurement] = []
        // Systems take turns, so that a slow spell of the machine hits all of them, and
        // the order changes, because what one leaves behind in memory serves the next.
        for round in 0..<rounds {
            let start = round % workload.systems.count
            for system in workload.systems[start...] + workload.systems[..<start] {
                let name = workload.rawValue + (setup.isCold ? " (cold)" : "")
                say("\(name): \(system), \(round + 1) of \(rounds)")
                try prepare(system)
                all += try measure(system)
                if workload.changesData { removeFile(setup.path(of: system)) }
            }
        }
        return all.mediansOfRounds()
    }

    private func prepare(_ system: String) throws {
        let path = setup.path(of: system)
        if workload == .create { removeFile(path) }
        guard workload.needsData else { return }
        if fileSize(path) < setup.bytes {
            removeFile(path)
            _ = try runChild(.create, system, phase: nil)
        }
        for before in workload.preparations { _ = try runChild(before, system, phase: nil) }
        // Also what is there already: how it came there decides how large its pieces are, and so what touching it costs.
        PageCache.drop(path)
        if setup.isCold {
            PageCache.takeMemory(setup.bytes + setup.bytes / 4)
        } else {
            PageCache.warm(path)
        }
    }

    /// The phases of one measurement; what later ones find out joins what the first did.
    private func measure(_ system: String) throws -> [Measurement] {
        try workload.phases.flatMap { try runChild(workload, system, phase: $0) }.joiningPhases()
    }

    private func runChild(_ workload: Workload, _ system: String, phase: String?) throws -> [Measurement] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            [
                workload.rawValue, "--gib", String(Double(setup.bytes) / Double(1 << 30)),
                "--scratch", setup.folder, "--child", system,
                "--transactions", String(setup.transactions),
                "--budget-mib", String(max(1, setup.budgetBytes >> 20)),
            ] + (setup.isCold ? ["--cold"] : []) + (phase.map { ["--phase", $0] } ?? [])
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = Interruption.whileWorking(process.processIdentifier) {
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return output
        }
        guard process.terminationStatus == 0 else {
            throw BenchError(
                "\(workload.rawValue) on \(system) failed with status \(process.terminationStatus)")
        }
        return try Measurement.lines(String(decoding: output, as: UTF8.self))
    }
}
