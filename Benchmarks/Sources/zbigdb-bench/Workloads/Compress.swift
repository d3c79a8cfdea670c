import BenchReport
import CKernels
import Foundation
import ZBigDB

/// How small each codec makes an array, and how fast that is scanned in a fresh process.
enum Compress {
    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        var configuration = Database.Configuration()
        Seam.useCodec(system, &configuration)
        return []
    }
}
