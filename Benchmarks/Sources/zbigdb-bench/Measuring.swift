import BenchReport
import Foundation

// Foundation has a type of this name, too.
typealias Measurement = BenchReport.Measurement

/// Seconds of a clock that only goes forward.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

func timed<R>(_ body: () throws -> R) rethrows -> (R, Double) {
    let start = now()
    let result = try body()
    return (result, now() - start)
}

func fileSize(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
}

/// Removes a database, or a baseline's file.
func removeFile(_ path: String) {
    unlink(path)
    unlink(path + "-lock")
}

/// Tells on standard error what goes on.
func say(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// A problem of the benchmark itself.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
