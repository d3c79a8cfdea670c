/// Where, and how large.
struct Setup {
    let folder: String
    /// Elements (8 bytes each) of the arrays; whole blocks.
    let count: Int
    let isCold: Bool
    /// Durable transactions of the workloads that count them.
    var transactions = 500
    /// Bytes of changes that may be in memory, where the workload limits them.
    var budgetBytes = 512 << 20
    /// Which of a workload's processes this is.
    var phase: String?

    static let commitBytes = 256 << 20

    var bytes: Int { count * 8 }
    var blocks: Int { bytes / RawLMDB.blockBytes }
    var plainPath: String { folder + "/plain" }
    var lmdbPath: String { folder + "/raw.lmdb" }
    var databasePath: String { folder + "/bench.zbigdb" }

    /// The file in which `create` left the array for this system.
    func path(of system: String) -> String {
        if system.hasPrefix("plain") { return plainPath }
        return system.hasPrefix("raw-lmdb") ? lmdbPath : databasePath
    }
}
