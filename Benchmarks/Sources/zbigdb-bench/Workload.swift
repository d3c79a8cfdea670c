import Foundation

/// What is measured. Each is run in a fresh process for each system.
enum Workload: String, CaseIterable {
    case create, scan, randread, firsttouch, abort, rss, update, append
    case virtmemScan = "virtmem-scan"

    /// Whether it reads what `create` wrote.
    var needsData: Bool {
        switch self {
        case .create, .update, .append, .virtmemScan: false
        default: true
        }
    }

    var systems: [String] {
        switch self {
        case .create: ["zbigdb", "raw-lmdb", "plain-mmap"]
        case .scan, .firsttouch: ["zbigdb", "plain-mmap", "raw-lmdb", "zbigdb-loadblk"]
        case .randread: ["zbigdb", "plain-mmap", "raw-lmdb"]
        case .abort, .rss: ["zbigdb"]
        case .virtmemScan: ["plain-mmap", "virtmem-aligned", "virtmem-unaligned"]
        case .update, .append: ["zbigdb", "raw-lmdb", "raw-lmdb-4KiB"]
        }
    }

    func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        switch self {
        case .create: try Create.measure(system, setup)
        case .scan: try Scan.measure(system, setup)
        case .randread: try RandomRead.measure(system, setup)
        case .firsttouch: try FirstTouch.measure(system, setup)
        case .abort: try Abort.measure(setup)
        case .rss: try ResidentMemory.measure(setup)
        case .update: try Update.measure(system, setup)
        case .append: try Append.measure(system, setup)
        case .virtmemScan: try VirtMemScan.measure(system, setup)
        }
    }
}
