import Foundation
import Testing

@testable import ZBigDB

/// Random transactions of many connections, judged by a model that runs them one after the other.
/// `ZBIGDB_SERIAL_TRANSACTIONS` sets how many there are for each connection.
@Suite("Serializability", .timeLimit(.minutes(30)))
struct SerializabilityTests {
    private static func transactions(_ few: Int) -> Int {
        ProcessInfo.processInfo.environment["ZBIGDB_SERIAL_TRANSACTIONS"].flatMap { Int($0) } ?? few
    }

    /// Everything that was read and written agrees with the model, and so does what is there in the end.
    private func judge(_ traces: [TransactionTrace], _ database: Database) throws {
        let model = SerialModel(traces)
        let problems = model.problems()
        #expect(problems.isEmpty, "\(problems.count): \(problems.prefix(5).joined(separator: "\n"))")
        let state = try TraceWorkload.state(database)
        for item in TraceWorkload.items { #expect(state[item] == model.final[item] ?? 0, "\(item)") }
        #expect(try database.verify().problems == [])
        // It was no idle run.
        let changing = traces.filter { !$0.writes.isEmpty }.count
        #expect(model.commitCount > traces.count / 10 && model.commitCount < changing)
    }

    private func runInThreads(
        _ mode: TraceWorkload.Mode, _ temporary: TemporaryDatabase, transactions: Int
    ) async throws -> [TransactionTrace] {
        var random = ArrayRandom("SerializabilityTests \(mode)")
        let seeds = (0..<6).map { _ in random.next() }
        try TraceWorkload.prepare(temporary.database)
        let (path, database) = (temporary.path, temporary.database)
        return try await awaitingThreads(seeds.count) { number in
            let workload = TraceWorkload(
                path: path, number: number + 1, seed: seeds[number], transactions: transactions)
            return try workload.run(database)
        }.flatMap { $0 }
    }

    @Test(
        "H8 H12 E28 six connections: no update is lost, nothing is read that was not committed",
        arguments: TraceWorkload.Mode.allCases)
    func connections(_ mode: TraceWorkload.Mode) async throws {
        let temporary = try TemporaryDatabase(TraceWorkload.configuration(mode))
        let traces = try await runInThreads(mode, temporary, transactions: Self.transactions(150))
        try judge(traces, temporary.database)
    }

    /// Two connections in a process of their own, whose traces go to a file.
    private func runElsewhere(_ workload: TraceWorkload) async {
        await #expect(processExitsWith: .success) { [workload = workload as TraceWorkload] in
            let database = try Database(
                workload.path, configuration: TraceWorkload.configuration(workload.mode))
            let traces = try inThreads(2) { index in
                var own = workload
                own.number = 2 * workload.number + index
                own.seed &+= UInt64(index)
                return try own.run(database)
            }
            try database.close()
            let data = try JSONEncoder().encode(traces.flatMap { $0 })
            try data.write(to: URL(fileURLWithPath: "\(workload.path).\(workload.number)"))
        }
    }

    @Test("H2 H8 E28 two and four processes do the same", arguments: [2, 4])
    func processes(_ count: Int) async throws {
        var random = ArrayRandom("SerializabilityTests.processes \(count)")
        let mode = TraceWorkload.Mode.allCases.randomElement(using: &random) ?? .maps
        let temporary = try TemporaryDatabase(TraceWorkload.configuration(mode))
        try TraceWorkload.prepare(temporary.database)
        let workloads = (1...count).map { number in
            TraceWorkload(
                path: temporary.path, number: number, seed: random.next(),
                transactions: Self.transactions(120), mode: mode)
        }
        await withTaskGroup(of: Void.self) { group in
            for workload in workloads { group.addTask { await runElsewhere(workload) } }
        }
        let traces = try workloads.flatMap { workload in
            let file = URL(fileURLWithPath: "\(workload.path).\(workload.number)")
            return try JSONDecoder().decode([TransactionTrace].self, from: Data(contentsOf: file))
        }
        try judge(traces, temporary.database)
    }

    @Test("The model finds a lost update and a dirty read that are planted in what happened")
    func planted() async throws {
        let temporary = try TemporaryDatabase(TraceWorkload.configuration(.maps))
        let traces = try await runInThreads(.maps, temporary, transactions: 60)
        #expect(SerialModel(traces).problems().isEmpty)

        // Somebody who began before another's commit, and wrote over it all the same.
        let order = traces.indices.filter { traces[$0].tid != nil }.sorted {
            traces[$0].tid ?? 0 < traces[$1].tid ?? 0
        }
        let writers = order.filter { traces[$0].writes[.object(0)] != nil }
        try #require(writers.count > 1)
        let (first, second) = (writers[0], writers[1])
        var lost = traces
        var late = TransactionTrace(snapshot: traces[first].snapshot, tid: traces[second].tid)
        late.reads[.object(0)] = traces[first].reads[.object(0)]
        late.writes = traces[second].writes.filter { $0.key == .object(0) }
        lost[second] = late
        #expect(!SerialModel(lost).problems().isEmpty)

        // Somebody who read what was never committed.
        let aborted = try #require(traces.first { $0.tid == nil && $0.writes.values.contains { $0 != 0 } })
        let (item, value) = try #require(aborted.writes.first { $0.value != 0 })
        var dirty = traces
        dirty[0].reads[item] = value
        #expect(!SerialModel(dirty).problems().isEmpty)
        // And one who saw a commit before its time.
        var early = traces
        let writer = traces[second]
        early.append(TransactionTrace(snapshot: writer.snapshot, reads: writer.writes))
        #expect(!SerialModel(early).problems().isEmpty)
    }
}
