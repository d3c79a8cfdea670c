import CKernels
import ZBigDB

/// The library's newest abilities, at one place: what is missing here is left out of the
/// workloads, and hooking it up is a line or two.
enum Seam {
    /// The systems that read an array in pieces, without one address range for it.
    static let streaming = ["zbigdb-stream"]

    /// The sum of all elements through the streaming interface.
    static func streamingSum(_ array: BigArray) throws -> Double {
        var sum = 0.0
        try array.forEachPiece(as: Double.self) { _, elements in
            if let base = elements.baseAddress { sum += kernels_sum(base, elements.count) }
        }
        return sum
    }

    /// The systems that keep old versions, as those do whose figures were published.
    static let history = ["zbigdb-history"]

    /// The codecs that blocks can be stored with, as systems.
    static let codecs = ["zbigdb-zstd-1", "zbigdb-zstd-3", "zbigdb-zstd-9"]

    private static let compression: [String: ArrayCompression] = [
        "zbigdb-zstd-1": .zstd(level: 1), "zbigdb-zstd-3": .zstd(level: 3), "zbigdb-zstd-9": .zstd(level: 9),
    ]

    /// The configuration of a system's new database.
    static func configuration(_ system: String) -> Database.Configuration {
        var configuration = Database.Configuration()
        configuration.keepsHistory = history.contains(system)
        configuration.compression = compression[system] ?? .none
        return configuration
    }
}
