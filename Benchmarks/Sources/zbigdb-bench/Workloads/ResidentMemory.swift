import BenchReport
import CKernels
import Foundation
import Synchronization
import ZBigDB

/// Memory after the whole array was scanned four times at once: through four connections of
/// one process, and by four processes.
enum ResidentMemory {
    private static let readers = 4

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        if setup.phase == "reader" {
            try readAndWait(system, setup)
            return []
        }
        return [try threads(system, setup), try processes(system, setup)]
    }

    /// Scans the array and calls `body` while everything is still open.
    private static func scanning<R>(_ system: String, _ setup: Setup, _ body: () throws -> R) throws -> R {
        if system == "plain-mmap" {
            return try PlainFile.withElements(setup.plainPath) { elements, count in
                _ = kernels_sum(elements, count)
                return try body()
            }
        }
        return try withArray(setup) { view in
            try view.withUnsafeBufferPointer { elements in
                if let base = elements.baseAddress { _ = kernels_sum(base, elements.count) }
            }
            return try body()
        }
    }

    private static func line(
        _ system: String, _ setup: Setup, _ name: String, _ seconds: Double, _ kinds: [Double]
    ) -> Measurement {
        let names = ["anonymous_MiB", "file_MiB", "shmem_MiB", "proportional_MiB"]
        return Measurement(
            system, "rss", seconds: seconds, bytes: readers * setup.bytes, params: ["case": .text(name)],
            extra: Dictionary(uniqueKeysWithValues: zip(names, kinds.map { .number($0) })))
    }

    /// MiB of this process: anonymous, of files, shared memory, and what is its own share of all.
    private static func kinds() -> [Double] {
        let memory = ProcessFacts.memory()
        return [memory.anonymous, memory.file, memory.shmem, ProcessFacts.proportionalKiB()]
            .map { Double($0) / 1024 }
    }

    // MARK: Threads

    private static func threads(_ system: String, _ setup: Setup) throws -> Measurement {
        let database = system == "plain-mmap" ? nil : try Database(setup.databasePath)
        let before = kinds()
        let start = now()
        // All connections stay open until the end; each belongs to one thread.
        let ready = DispatchSemaphore(value: 0)
        let leave = DispatchSemaphore(value: 0)
        let done = DispatchSemaphore(value: 0)
        let failures = Mutex<[String]>([])
        for _ in 0..<readers {
            Thread.detachNewThread {
                defer { done.signal() }
                do {
                    guard let database else {
                        return try scanning(system, setup) {
                            ready.signal()
                            leave.wait()
                        }
                    }
                    let connection = try database.connect()
                    let view = try connection.root.array("a").view(as: Double.self)
                    try view.withUnsafeBufferPointer { elements in
                        if let base = elements.baseAddress { _ = kernels_sum(base, elements.count) }
                    }
                    ready.signal()
                    leave.wait()
                    try connection.close()
                } catch {
                    failures.withLock { $0.append("\(error)") }
                    ready.signal()
                }
            }
        }
        for _ in 0..<readers { ready.wait() }
        let seconds = now() - start
        let after = kinds()
        for _ in 0..<readers { leave.signal() }
        for _ in 0..<readers { done.wait() }
        if let failure = failures.withLock({ $0.first }) { throw BenchError(failure) }
        return line(system, setup, "threads", seconds, zip(after, before).map { $0 - $1 })
    }

    // MARK: Processes

    /// One of the processes: scans, says so, tells its memory when all have, and ends when all did.
    private static func readAndWait(_ system: String, _ setup: Setup) throws {
        let before = kinds()
        try scanning(system, setup) {
            print("ready")
            fflush(nil)
            _ = readLine()
            print(try line(system, setup, "processes", 0, zip(kinds(), before).map { $0 - $1 }).json())
            fflush(nil)
            _ = readLine()
        }
    }

    private static func processes(_ system: String, _ setup: Setup) throws -> Measurement {
        let start = now()
        let all = try (0..<readers).map { _ in try ReaderProcess(system, setup) }
        for reader in all where try reader.nextLine() != "ready" {
            throw BenchError("a process could not read the array")
        }
        let seconds = now() - start
        var sums = [0.0, 0, 0, 0]
        let lines = try all.flatMap { reader in
            try reader.goOn()
            return try Measurement.lines(reader.nextLine())
        }
        guard lines.count == readers else { throw BenchError("a process did not tell its memory") }
        for reader in all { try reader.goOn() }
        for found in lines {
            for (index, name) in ["anonymous_MiB", "file_MiB", "shmem_MiB", "proportional_MiB"].enumerated() {
                sums[index] += found.extra[name]?.number ?? 0
            }
        }
        return line(system, setup, "processes", seconds, sums)
    }
}

/// A process that scans the array and keeps it open until it is told to go on.
private struct ReaderProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ system: String, _ setup: Setup) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [
            "rss", "--gib", String(Double(setup.bytes) / Double(1 << 30)), "--scratch", setup.folder,
            "--child", system, "--phase", "reader",
        ]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    func nextLine() throws -> String {
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
            line += byte
        }
        return String(decoding: line, as: UTF8.self)
    }

    func goOn() throws { try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8)) }
}
