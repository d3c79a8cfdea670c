/// Something that transactions read and write as a whole, and that conflicts by itself.
enum Item: Codable, Hashable, Sendable {
    /// An object.
    case object(Int)
    /// An entry of a map; 0 stands for none.
    case entry(Int)
    /// A page of an array, several of which are in one block.
    case page(Int)
}

/// What a transaction saw and did.
struct TransactionTrace: Codable, Sendable {
    /// The transaction it looked at.
    let snapshot: UInt64
    /// Its own number; nil if it was aborted, met a conflict, or changed nothing.
    var tid: UInt64?
    /// What it read of items that it had not written. Before it writes, it reads.
    var reads: [Item: Int] = [:]
    /// Items that must not have changed until its commit, though it only read them.
    var relied: Set<Item> = []
    /// What it wrote last. Each value but 0 is written once in all.
    var writes: [Item: Int] = [:]
    /// Where it did not see its own doing.
    var contradictions: [String] = []
}

/// Judges transactions of any number of connections and processes by what one after the other would have seen.
struct SerialModel {
    private let traces: [TransactionTrace]
    private let committed: [TransactionTrace]

    init(_ traces: [TransactionTrace]) {
        self.traces = traces
        committed = traces.filter { $0.tid != nil }.sorted { $0.tid ?? 0 < $1.tid ?? 0 }
    }

    var commitCount: Int { committed.count }

    /// What every item is in the end.
    var final: [Item: Int] { committed.reduce(into: [:]) { $0.merge($1.writes) { $1 } } }

    /// What cannot be; nothing, if all is well.
    func problems() -> [String] {
        traces.flatMap(\.contradictions) + lostUpdates() + wrongSnapshots()
            + (Set(committed.map(\.tid)).count < committed.count ? ["two transactions have one number"] : [])
    }

    /// One after the other in the order of their numbers, transactions find what they read of the items that
    /// they wrote or relied on.
    private func lostUpdates() -> [String] {
        var state: [Item: Int] = [:]
        var problems: [String] = []
        for trace in committed {
            for item in trace.relied.union(trace.writes.keys) where trace.reads[item] != state[item] ?? 0 {
                problems.append(
                    "\(label(trace)) read \(trace.reads[item] ?? -1) of \(item), which was \(state[item] ?? 0) when it"
                        + " committed")
            }
            state.merge(trace.writes) { $1 }
        }
        return problems
    }

    /// All transactions, also those that did not commit, read everything as of their snapshot.
    private func wrongSnapshots() -> [String] {
        var state: [Item: Int] = [:]
        var next = 0
        var problems: [String] = []
        for trace in traces.sorted(by: { $0.snapshot < $1.snapshot }) {
            while next < committed.count, let tid = committed[next].tid, tid <= trace.snapshot {
                state.merge(committed[next].writes) { $1 }
                next += 1
            }
            for (item, value) in trace.reads where value != state[item] ?? 0 {
                problems.append(
                    "\(label(trace)) read \(value) of \(item), which was \(state[item] ?? 0) in its snapshot")
            }
        }
        return problems
    }

    private func label(_ trace: TransactionTrace) -> String {
        "a transaction at \(trace.snapshot)\(trace.tid.map { ", committed as \($0)," } ?? "")"
    }
}
