/// What a workload is, in words, and which of its numbers deserve a chart besides the speed.
struct WorkloadText: Sendable {
    let name: String
    let explanation: String
    var metrics: [Metric] = []
    /// Whether speed is beside the point.
    var hidesSpeed = false

    /// What is known, in the order of the report.
    static let all: [WorkloadText] = [
        WorkloadText(
            name: "create",
            explanation: "An array of Float64 filled in order, with a durable commit every 256 MiB."),
        WorkloadText(
            name: "scan",
            explanation: """
                The sum of all elements in order, at first touch in a fresh process. Page cache warm, or \
                cold: the file dropped from it before. After updates: many small transactions changed \
                single elements before.
                """),
        WorkloadText(name: "scan2", explanation: "The same process sums once more."),
        WorkloadText(
            name: "randread",
            explanation: """
                100,000 random single elements in a fresh process; and the same ones again, once they are \
                mapped.
                """),
        WorkloadText(
            name: "firsttouch",
            explanation: "One element of each block, the blocks in random order, in a fresh process."),
        WorkloadText(
            name: "update", explanation: "Durable transactions of one random element, 8 bytes, each.",
            metrics: [.extra("growth_bytes_per_update", "growth of the file per update")]),
        WorkloadText(
            name: "append", explanation: "Durable transactions that append 64 KiB each.",
            metrics: [.extra("growth_per_data", "growth of the file, in times the data")]),
        WorkloadText(
            name: "randwrite",
            explanation: "10,000 random elements changed in one transaction, and its commit.",
            metrics: [.extra("written_per_changed_page", "bytes written, in times the changed pages")]),
        WorkloadText(
            name: "mvcc",
            explanation: """
                A reader stays on an old snapshot while a writer changes every block. Everything the \
                reader sees before and after it moves on is checked.
                """),
        WorkloadText(
            name: "objects",
            explanation: """
                Small objects: one a durable commit, 100,000 in one commit, and 100,000 random reads in a \
                fresh process.
                """),
        WorkloadText(
            name: "writers",
            explanation: "Durable commits of one small object each, by one and by eight writers at once."),
        WorkloadText(name: "map", explanation: "A sorted map of small values."),
        WorkloadText(
            name: "list",
            explanation: """
                A list of a million integers, beside a map with integer keys: appended one by one (extend: at \
                once), 100,000 inserted at random positions, 100,000 random look-ups, and a walk.
                """),
        WorkloadText(
            name: "zblkfmt",
            explanation: """
                The benchmark of block formats: small changes of an array of Int64, one commit each, then \
                the size of the file, and what it costs to touch a block in a fresh process.
                """,
            metrics: [
                .extra("file_bytes", "size of the file"),
                .extra("ms_per_block", "first touch, per block after the first"),
            ]),
        WorkloadText(
            name: "bigtxn",
            explanation: """
                One transaction that changes far more than it may keep in memory: committed, then the same \
                aborted, then the file compacted.
                """,
            metrics: [
                .extra("peak_anonymous_MiB", "most memory of its own"),
                .extra("file_bytes", "size of the file"),
            ]),
        WorkloadText(
            name: "rss",
            explanation: "Memory after four readers scanned the whole array, with all of them still open.",
            metrics: [
                .extra("anonymous_MiB", "memory of their own"),
                .extra("proportional_MiB", "all memory, shared pages counted once"),
            ],
            hidesSpeed: true),
        WorkloadText(name: "abort", explanation: "A transaction that changed every block is undone."),
        WorkloadText(
            name: "compress",
            explanation: """
                Each codec on three kinds of data: how fast an array is written, how small it gets, and how \
                fast it is scanned in a fresh process.
                """,
            metrics: [
                .extra("ratio", "data in times the file", isMoreBetter: true),
                .extra("scan_MBps", "scan at first touch", isMoreBetter: true),
            ]),
        WorkloadText(
            name: "virtmem-scan",
            explanation: """
                The engine alone, on a plain file. Unaligned: the file's blocks lie so that the kernel \
                cannot use large page-table entries.
                """),
    ]

    static func of(_ workload: String) -> WorkloadText {
        all.first { $0.name == workload } ?? WorkloadText(name: workload, explanation: "")
    }

    /// The known ones in their order, then the others by name.
    static func ordered(_ workloads: Set<String>) -> [String] {
        let known = all.map(\.name).filter(workloads.contains)
        return known + workloads.subtracting(known).sorted()
    }
}
