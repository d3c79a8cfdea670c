import Foundation
import Testing
import VirtMem

@testable import ZBigDB

/// Counters that several connections raise at once. Every increment that was committed must be there
/// in the end, whatever else is stored beside it.
struct CounterWorkload: Codable, Sendable {
    static let block = Database.Configuration.small.blockSize
    static let perBlock = block / 8

    var path: String
    var seed: UInt64
    var transactions: Int
    /// Blocks of the array when it is new.
    var blocks = 3

    static var configuration: Database.Configuration {
        var configuration = Database.Configuration.small
        configuration.durability = .none
        return configuration
    }

    static func prepare(_ database: Database, blocks: Int) throws {
        let connection = try database.connect()
        let array = try connection.createArray("counters", shape: [blocks * perBlock], of: UInt64.self)
        // Stored blocks from the start: new ones conflict as a whole.
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: bytes.count, by: 4096) { bytes[at + 4095] = 0x10 }
        }
        try connection.commit()
        try connection.close()
    }

    /// What a counter is at first: the last byte of each page was set.
    static func start(_ element: Int, _ blocks: Int) -> UInt64 {
        element < blocks * perBlock && element % 512 == 511 ? 0x10 << 56 : 0
    }

    /// Repeatable, and made from a number that another process can be given.
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state ^ state >> 33) &* 0xff51_afd7_ed55_8ccd ^ state >> 29
        }
    }

    /// Commits transactions; returns what they added to each counter, and how many were tried again.
    func run(_ database: Database) throws -> (added: [Int: UInt64], conflicts: Int) {
        var random = Random(state: seed)
        let connection = try database.connect()
        var array = try connection.root.array("counters")
        var added: [Int: UInt64] = [:]
        var conflicts = 0
        for _ in 0..<transactions {
            var isDone = false
            while !isDone {
                // Drawn anew at each attempt, so that two do not meet for ever.
                let increments = try change(array, &random)
                do {
                    try connection.commit()
                    for (element, count) in increments { added[element, default: 0] += count }
                    isDone = true
                } catch is ConflictError {
                    conflicts += 1
                    try connection.abort()
                    array = try connection.root.array("counters")
                }
            }
        }
        try connection.close()
        return (added, conflicts)
    }

    /// One transaction's increments: a few counters, a whole block, or new ones behind the end.
    private func change(_ array: BigArray, _ random: inout Random) throws -> [Int: UInt64] {
        var increments: [Int: UInt64] = [:]
        let count = array.count
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<78:
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                increments[.random(in: 0..<count, using: &random), default: 0] += .random(
                    in: 1...3, using: &random)
            }
        case 78..<92:
            // Enough of a block that it is stored as a whole, but not every page.
            let block = Int.random(in: 0..<count / Self.perBlock, using: &random)
            let first = block * Self.perBlock + (Bool.random(using: &random) ? 512 : 0)
            for page in 0..<13 { increments[first + page * 512 + .random(in: 0..<512, using: &random)] = 1 }
        default:
            try array.resize([count + .random(in: 1...700, using: &random)])
            increments[array.count - 1] = 1
        }
        try array.withUnsafeMutableBytes { bytes in
            for (element, added) in increments {
                let value = bytes.load(fromByteOffset: element * 8, as: UInt64.self)
                bytes.storeBytes(of: value + added, toByteOffset: element * 8, as: UInt64.self)
            }
        }
        return increments
    }

    /// Every counter is what the committed transactions made it.
    static func check(_ database: Database, _ added: [Int: UInt64], blocks: Int) throws {
        let connection = try database.connect()
        let found = try connection.root.array("counters").read(as: UInt64.self)
        #expect((added.keys.max() ?? 0) < found.count)
        var wrong: [String] = []
        for element in found.indices {
            let expected = start(element, blocks) + (added[element] ?? 0)
            if found[element] != expected { wrong.append("\(element): \(found[element]), not \(expected)") }
        }
        #expect(wrong == [])
        try connection.close()
    }
}

@Suite("No update is lost", .timeLimit(.minutes(15)))
struct LostUpdateTests {
    @Test("E28 threads: few counters, whole blocks and appends at once", arguments: [false, true], [0, 1])
    func threads(_ isSmallBudget: Bool, _ series: Int) throws {
        var random = ArrayRandom("LostUpdateTests.threads \(isSmallBudget) \(series)")
        var configuration = CounterWorkload.configuration
        if isSmallBudget { configuration.dirtyBudget = 2 * CounterWorkload.block }
        configuration.keepsHistory = series == 1
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        try CounterWorkload.prepare(database, blocks: 3)
        let workloads = (0..<3).map { _ in
            CounterWorkload(path: "", seed: random.next(), transactions: 120)
        }
        let results = try inThreads(3) { try workloads[$0].run(database) }
        let added = results.reduce(into: [:]) { $0.merge($1.added, uniquingKeysWith: +) }
        let conflicts = results.reduce(0) { $0 + $1.conflicts }
        print("LostUpdateTests.threads: \(conflicts) conflicts")
        #expect(conflicts > 0)
        try CounterWorkload.check(database, added, blocks: 3)
        #expect(try database.verify().problems == [])
    }

    /// Says that one of the three is there, and waits for the others, so that they really meet.
    private static func meet(_ path: String, _ name: String) async throws {
        try "".write(toFile: path + name, atomically: true, encoding: .utf8)
        let names = [".ready.0", ".ready.1", ".ready.2"]
        for _ in 0..<30_000 {
            if names.allSatisfy({ FileManager.default.fileExists(atPath: path + $0) }) { return }
            // Not by blocking the thread, on which the others may have to be started.
            try await Task.sleep(for: .milliseconds(2))
        }
        Issue.record("the others did not come")
    }

    /// Runs a workload in a process of its own, which writes down what it added.
    private func runElsewhere(_ workload: CounterWorkload, _ number: Int) async {
        await #expect(processExitsWith: .success) {
            [workload = workload as CounterWorkload, number = number as Int] in
            let database = try Database(workload.path, configuration: CounterWorkload.configuration)
            try await Self.meet(workload.path, ".ready.\(number)")
            let added = try workload.run(database).added
            let lines = added.map { "\($0.key) \($0.value)\n" }.joined()
            try lines.write(toFile: workload.path + ".\(number)", atomically: true, encoding: .utf8)
            try database.close()
        }
    }

    @Test("E28 two processes and a thread of a third")
    func processes() async throws {
        var random = ArrayRandom("LostUpdateTests.processes")
        let temporary = try TemporaryDatabase(CounterWorkload.configuration)
        let (database, path) = (temporary.database, temporary.path)
        try CounterWorkload.prepare(database, blocks: 2)
        let workloads = (0..<3).map { _ in
            CounterWorkload(path: path, seed: random.next(), transactions: 150, blocks: 2)
        }
        async let first: Void = runElsewhere(workloads[0], 0)
        async let second: Void = runElsewhere(workloads[1], 1)
        try await Self.meet(path, ".ready.2")
        let result = try workloads[2].run(database)
        print("LostUpdateTests.processes: \(result.conflicts) conflicts")
        var total = result.added
        _ = await (first, second)
        for name in [".0", ".1"] {
            for line in try String(contentsOfFile: path + name, encoding: .utf8).split(separator: "\n") {
                let numbers = line.split(separator: " ").compactMap { UInt64($0) }
                total[Int(numbers[0]), default: 0] += numbers[1]
            }
        }
        try CounterWorkload.check(database, total, blocks: 2)
        #expect(try database.verify().problems == [])
    }
}
