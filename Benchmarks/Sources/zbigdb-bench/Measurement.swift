import Foundation

/// One line of the report: what one system did on one workload.
struct Measurement: Codable {
    var system: String
    var workload: String
    var params: [String: Value]
    var seconds: Double
    var bytes: Int
    var megabytesPerSecond: Double?
    var operationsPerSecond: Double?
    var extra: [String: Value]

    private enum CodingKeys: String, CodingKey {
        case system, workload, params, seconds, bytes, extra
        case megabytesPerSecond = "MBps"
        case operationsPerSecond = "ops_per_s"
    }

    /// A JSON scalar.
    enum Value: Codable {
        case number(Double)
        case text(String)
        case flag(Bool)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let value): try container.encode(value)
            case .text(let value): try container.encode(value)
            case .flag(let value): try container.encode(value)
            }
        }
    }

    init(
        _ system: String, _ workload: String, seconds: Double, bytes: Int = 0, operations: Int? = nil,
        params: [String: Value] = [:], extra: [String: Value] = [:]
    ) {
        self.system = system
        self.workload = workload
        self.params = params
        self.seconds = seconds
        self.bytes = bytes
        megabytesPerSecond = bytes > 0 && seconds > 0 ? Double(bytes) / seconds / 1e6 : nil
        operationsPerSecond = operations.map { Double($0) / seconds }
        self.extra = extra
    }

    /// How fast, whatever the workload counts.
    var speed: Double { operationsPerSecond ?? megabytesPerSecond ?? (seconds > 0 ? 1 / seconds : 0) }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

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

/// A problem of the benchmark itself.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
