import ArgumentParser
import ZBigDB

/// How arrays are compressed, as people write it: `none`, `zstd`, `zstd:9`.
struct CompressionOption: ExpressibleByArgument, Sendable {
    let compression: ArrayCompression

    init?(argument: String) {
        guard let compression = ArrayCompression(argument) else { return nil }
        self.compression = compression
    }
}
