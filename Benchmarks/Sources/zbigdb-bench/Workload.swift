import Foundation

/// What is measured. Each is run in a fresh process for each system.
enum Workload: String, CaseIterable {
    case create, scan, randread, firsttouch, abort, rss
    case scanAfterUpdates = "scan-after-updates"
    case update, append, randwrite, mvcc, objects, writers, map, list, zblkfmt, bigtxn, compress
    case virtmemScan = "virtmem-scan"

    /// Whether it reads what `create` wrote.
    var needsData: Bool {
        switch self {
        case .create, .append, .objects, .writers, .map, .list, .zblkfmt, .bigtxn, .compress, .virtmemScan:
            false
        default: true
        }
    }

    /// Whether what follows must not find the data it leaves.
    var changesData: Bool {
        switch self {
        case .update, .randwrite, .mvcc, .scanAfterUpdates: true
        default: false
        }
    }

    /// What is done to the data before, in processes of their own.
    var preparations: [Workload] { self == .scanAfterUpdates ? [.update] : [] }

    /// The processes of one measurement, one after the other.
    var phases: [String?] {
        switch self {
        case .zblkfmt: ["write", "touch"]
        case .compress: ["write", "scan"]
        case .objects, .map, .list: ["write", "read"]
        default: [nil]
        }
    }

    var systems: [String] {
        switch self {
        case .create: ["zbigdb", "raw-lmdb", "plain-mmap"]
        case .scan: ["zbigdb", "plain-mmap", "raw-lmdb", "zbigdb-loadblk", "plain-read"] + Seam.streaming
        case .scanAfterUpdates, .randread: ["zbigdb", "plain-mmap", "raw-lmdb"]
        case .zblkfmt: ["zbigdb", "plain-mmap", "raw-lmdb"] + Seam.history
        case .firsttouch: ["zbigdb", "plain-mmap", "raw-lmdb", "zbigdb-loadblk"]
        case .abort: ["zbigdb"]
        case .rss: ["zbigdb", "plain-mmap"]
        case .virtmemScan: ["plain-mmap", "virtmem-aligned", "virtmem-unaligned"]
        case .update: ["zbigdb", "raw-lmdb", "raw-lmdb-4KiB", "plain-pwrite"]
        case .append: ["zbigdb", "raw-lmdb", "raw-lmdb-4KiB", "plain-pwrite"] + Seam.history
        case .randwrite: ["zbigdb", "raw-lmdb", "plain-mmap", "plain-pwrite"]
        case .mvcc, .objects, .writers, .map, .bigtxn: ["zbigdb", "raw-lmdb"]
        case .list: ["zbigdb", "zbigdb-map"]
        case .compress: Seam.codecs.isEmpty ? [] : ["zbigdb"] + Seam.codecs
        }
    }

    func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        switch self {
        case .create: try Create.measure(system, setup)
        case .scan: try Scan.measure(system, setup)
        case .scanAfterUpdates: try Scan.measureAfterUpdates(system, setup)
        case .randread: try RandomRead.measure(system, setup)
        case .firsttouch: try FirstTouch.measure(system, setup)
        case .abort: try Abort.measure(setup)
        case .rss: try ResidentMemory.measure(system, setup)
        case .update: try Update.measure(system, setup)
        case .append: try Append.measure(system, setup)
        case .randwrite: try RandomWrite.measure(system, setup)
        case .mvcc: try MultiVersion.measure(system, setup)
        case .objects: try SmallObjects.measure(system, setup)
        case .writers: try ManyWriters.measure(system, setup)
        case .map: try SortedMap.measure(system, setup)
        case .list: try LongList.measure(system, setup)
        case .zblkfmt: try BlockFormat.measure(system, setup)
        case .bigtxn: try BigTransaction.measure(system, setup)
        case .compress: try Compress.measure(system, setup)
        case .virtmemScan: try VirtMemScan.measure(system, setup)
        }
    }
}
