import Foundation

/// Runs a workload's measurements, each in a process of its own.
struct Runner {
    let setup: Setup
    let gib: Double

    func run(_ workload: Workload) throws -> [Measurement] {
        if workload.needsData { try makeData() }
        var all: [Measurement] = []
        // Systems take turns, so that a slow spell of the machine hits all of them, and
        // the order changes, because what one leaves behind in memory serves the next.
        for round in 0..<setup.repeats {
            let start = round % workload.systems.count
            for system in workload.systems[start...] + workload.systems[..<start] {
                if workload == .create { removeFiles() }
                if setup.isCold { dropPageCache() } else if workload.needsData { warm(system) }
                all += try runChild(workload, system)
            }
        }
        return medians(all)
    }

    private func medians(_ all: [Measurement]) -> [Measurement] {
        var order: [String] = []
        var groups: [String: [Measurement]] = [:]
        for measurement in all {
            let key = measurement.system + " " + measurement.workload + " " + (measurement.caseName ?? "")
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(measurement)
        }
        return order.compactMap { key in
            let sorted = (groups[key] ?? []).sorted { $0.seconds < $1.seconds }
            guard var median = sorted.isEmpty ? nil : sorted[sorted.count / 2] else { return nil }
            // On a shared machine the best run says what the code takes, the median what it got.
            median.extra["best_seconds"] = .number(sorted[0].seconds)
            return median
        }
    }

    private func makeData() throws {
        if !FileManager.default.fileExists(atPath: setup.databasePath) {
            for system in ["zbigdb", "plain-mmap", "raw-lmdb"] { _ = try runChild(.create, system) }
        }
    }

    private func removeFiles() {
        for path in [setup.databasePath, setup.lmdbPath, setup.plainPath] {
            unlink(path)
            unlink(path + "-lock")
        }
    }

    /// Reads the system's file once, so that the page cache has it.
    private func warm(_ system: String) {
        let path =
            switch system {
            case "plain-mmap": setup.plainPath
            case "raw-lmdb": setup.lmdbPath
            default: setup.databasePath
            }
        let fd = open(path, O_RDONLY)
        guard fd >= 0 else { return }
        defer { close(fd) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while read(fd, &buffer, buffer.count) > 0 {}
    }

    private func dropPageCache() {
        sync()
        let fd = open("/proc/sys/vm/drop_caches", O_WRONLY)
        guard fd >= 0 else {
            FileHandle.standardError.write(
                Data("cannot drop the page cache: not root; measuring warm\n".utf8))
            return
        }
        write(fd, "3", 1)
        close(fd)
    }

    private func runChild(_ workload: Workload, _ system: String) throws -> [Measurement] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            [workload.rawValue, "--gib", String(gib), "--dir", setup.folder, "--child", system]
            + (setup.isCold ? ["--cold"] : [])
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BenchError(
                "\(workload.rawValue) on \(system) failed with status \(process.terminationStatus)")
        }
        return try String(decoding: output, as: UTF8.self).split(separator: "\n").map {
            try JSONDecoder().decode(Measurement.self, from: Data($0.utf8))
        }
    }
}

extension Measurement {
    var caseName: String? {
        if case .text(let name) = params["case"] { return name }
        return nil
    }
}

/// Tables for people.
enum Report {
    static func print(_ workload: Workload, _ results: [Measurement]) {
        Swift.print("\n\(workload.rawValue)")
        let baselines = Dictionary(
            results.map { ($0.system + " " + ($0.caseName ?? ""), $0.speed) }, uniquingKeysWith: { a, _ in a }
        )
        for result in results {
            var line = "  " + pad(result.system + (result.caseName.map { " (\($0))" } ?? ""), 30)
            line += pad(String(format: "%.4f s", result.seconds), 14)
            if let speed = result.megabytesPerSecond { line += pad(String(format: "%.0f MB/s", speed), 14) }
            if let speed = result.operationsPerSecond { line += pad(String(format: "%.0f /s", speed), 16) }
            for baseline in ["plain-mmap", "raw-lmdb"] where result.system != baseline {
                if let other = baselines[baseline + " " + (result.caseName ?? "")], other > 0 {
                    line += pad(String(format: "%.2f of \(baseline)", result.speed / other), 22)
                }
            }
            for (key, value) in result.extra.sorted(by: { $0.key < $1.key }) {
                if case .number(let number) = value { line += " \(key)=\(String(format: "%.6g", number))" }
            }
            Swift.print(line)
        }
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
