import Foundation
import Synchronization

/// What the kernel counts for this process.
enum ProcessFacts {
    /// KiB of resident memory, by kind.
    struct Memory {
        var anonymous = 0
        var file = 0
        var shmem = 0
    }

    static func memory() -> Memory {
        let fields = numbers("/proc/self/status")
        return Memory(
            anonymous: fields["RssAnon"] ?? 0, file: fields["RssFile"] ?? 0, shmem: fields["RssShmem"] ?? 0)
    }

    /// KiB, where each page counts only as far as others do not share it.
    static func proportionalKiB() -> Int { numbers("/proc/self/smaps_rollup")["Pss"] ?? 0 }

    /// Bytes this process made the kernel write to disks, now or later.
    static func writtenBytes() -> Int { numbers("/proc/self/io")["write_bytes"] ?? 0 }

    /// Bytes written so far to the disk that has a file, by everybody; nil if the kernel does not tell.
    static func deviceWrittenBytes(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        // As the C library's macros take the number apart, which Swift does not see.
        let number = UInt64(status.st_dev)
        let major = (number >> 8 & 0xfff) | (number >> 32 & 0xffff_f000)
        let minor = (number & 0xff) | (number >> 12 & 0xffff_ff00)
        let device = "/sys/dev/block/\(major):\(minor)/stat"
        guard let text = try? String(contentsOfFile: device, encoding: .utf8) else { return nil }
        let fields = text.split(whereSeparator: \.isWhitespace)
        // Sectors written; they are of 512 bytes here, whatever the disk's are.
        return fields.count > 6 ? Int(fields[6]).map { $0 * 512 } : nil
    }

    private static func numbers(_ path: String) -> [String: Int] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        var fields: [String: Int] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let number = Int(parts[1].filter(\.isNumber)) else { continue }
            fields[String(parts[0])] = number
        }
        return fields
    }
}

/// Looks at the anonymous memory of this process all the time.
final class MemorySampler: Sendable {
    private let peak: Atomic<Int>
    private let isDone = Atomic<Bool>(false)
    private let start: Int

    init() {
        start = ProcessFacts.memory().anonymous
        peak = Atomic(start)
        Thread.detachNewThread { [self] in
            while !isDone.load(ordering: .relaxed) {
                peak.max(ProcessFacts.memory().anonymous, ordering: .relaxed)
                usleep(10_000)
            }
        }
    }

    deinit { stop() }

    func stop() { isDone.store(true, ordering: .relaxed) }

    /// MiB at the highest since the last call, beyond what there was at the start.
    func takePeakMiB() -> Double {
        let now = ProcessFacts.memory().anonymous
        let highest = max(peak.exchange(now, ordering: .relaxed), now)
        return Double(highest - start) / 1024
    }
}
