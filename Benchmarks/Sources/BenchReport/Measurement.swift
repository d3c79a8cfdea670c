import Foundation

/// What one system did on one workload: one JSON line.
package struct Measurement: Codable, Equatable, Sendable {
    /// `zbigdb`, a baseline, or a peer.
    package var system: String
    package var workload: String
    /// Names the case where a workload has several.
    package var params: [String: Value]
    package var seconds: Double
    package var bytes: Int
    package var megabytesPerSecond: Double?
    package var operationsPerSecond: Double?
    /// Whatever else was found, by name.
    package var extra: [String: Value]

    package init(
        _ system: String, _ workload: String, seconds: Double, bytes: Int = 0, operations: Int? = nil,
        params: [String: Value] = [:], extra: [String: Value] = [:]
    ) {
        self.system = system
        self.workload = workload
        self.params = params
        self.seconds = seconds
        self.bytes = bytes
        megabytesPerSecond = bytes > 0 && seconds > 0 ? Double(bytes) / seconds / 1e6 : nil
        operationsPerSecond = operations.flatMap { seconds > 0 ? Double($0) / seconds : nil }
        self.extra = extra
    }

    /// How fast, whatever the workload counts.
    package var speed: Double {
        operationsPerSecond ?? megabytesPerSecond ?? (seconds > 0 ? 1 / seconds : 0)
    }

    /// What is compared with each other: the same workload with the same parameters.
    package var task: BenchTask { BenchTask(workload: workload, params: params) }
}

/// A workload and its parameters.
package struct BenchTask: Hashable, Sendable {
    package var workload: String
    package var params: [String: Measurement.Value]

    package init(workload: String, params: [String: Measurement.Value]) {
        self.workload = workload
        self.params = params
    }

    /// The parameters in a few words: `cold`, `append`, `after updates 500`.
    package var caseName: String {
        params.sorted { $0.key < $1.key }.compactMap { key, value in
            let label = Quantity.label(key)
            return switch value {
            case .flag(let flag): flag ? label : key == "cold" ? "warm" : nil
            case .text(let text): key == "case" ? text : "\(label) \(text)"
            case .number(let number): "\(label) \(Quantity.plain(number))"
            }
        }.joined(separator: ", ")
    }
}

// MARK: - JSON

extension Measurement {
    /// A JSON scalar.
    package enum Value: Codable, Hashable, Sendable {
        case number(Double)
        case text(String)
        case flag(Bool)

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let value): try container.encode(value)
            case .text(let value): try container.encode(value)
            case .flag(let value): try container.encode(value)
            }
        }

        /// The number, if it is one.
        package var number: Double? { if case .number(let number) = self { number } else { nil } }
    }

    private enum CodingKeys: String, CodingKey {
        case system, workload, params, seconds, bytes, extra
        case megabytesPerSecond = "MBps"
        case operationsPerSecond = "ops_per_s"
    }

    /// As synthesized, but what is not known is null instead of left out.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(system, forKey: .system)
        try container.encode(workload, forKey: .workload)
        try container.encode(params, forKey: .params)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(megabytesPerSecond, forKey: .megabytesPerSecond)
        try container.encode(operationsPerSecond, forKey: .operationsPerSecond)
        try container.encode(extra, forKey: .extra)
    }

    /// The measurement as one line, without the line's end.
    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The measurements of a text of JSON lines; blank lines are skipped.
    ///
    /// - Throws: ``MalformedLine``, which tells the line.
    package static func lines(_ text: String) throws -> [Measurement] {
        try text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap {
            number, line in
            if line.allSatisfy(\.isWhitespace) { return nil }
            do {
                return try JSONDecoder().decode(Measurement.self, from: Data(line.utf8))
            } catch {
                throw MalformedLine(number: number + 1, text: String(line.prefix(80)))
            }
        }
    }
}

/// A line that is no measurement.
package struct MalformedLine: Error, Equatable, CustomStringConvertible {
    package let number: Int
    package let text: String

    package var description: String { "line \(number) is no measurement: \(text)" }
}
