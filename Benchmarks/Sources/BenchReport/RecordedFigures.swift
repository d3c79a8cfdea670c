import Foundation

/// Figures that were not measured in this run, with where they are from.
package struct RecordedFigures: Codable, Sendable {
    /// What one system did on one workload, as far as that is known.
    package struct Figure: Codable, Sendable {
        package var system: String
        package var workload: String
        package var params: [String: Measurement.Value]?
        package var megabytesPerSecond: Double?
        package var operationsPerSecond: Double?
        package var extra: [String: Measurement.Value]?

        private enum CodingKeys: String, CodingKey {
            case system, workload, params, extra
            case megabytesPerSecond = "MBps"
            case operationsPerSecond = "ops_per_s"
        }
    }

    /// Figures from one place.
    package struct Group: Codable, Sendable {
        /// Where they are from, in a few words.
        package var origin: String
        /// What else must be known to read them.
        package var note: String?
        package var figures: [Figure]
    }

    package var groups: [Group]

    package init(groups: [Group] = []) { self.groups = groups }

    /// Reads a file of recorded figures.
    package init(json: String) throws {
        self = try JSONDecoder().decode(RecordedFigures.self, from: Data(json.utf8))
    }
}
