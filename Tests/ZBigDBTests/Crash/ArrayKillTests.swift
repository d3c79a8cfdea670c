import Foundation
import Testing
import VirtMem

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

/// Random transactions on an array that a seed determines, whatever the database does: so what it should contain after
/// any number of them can be told without it.
private struct ArrayScript {
    static let block = 4 * 4096
    private var random: ArrayRandom
    /// How many transactions were committed.
    private(set) var number = 0
    private(set) var bytes = [UInt8](repeating: 0, count: 3 * Self.block)

    init(seed: UInt64) { random = ArrayRandom("ArrayScript", seed: seed) }

    /// The next transaction, on the array of a connection if there is one.
    mutating func run(_ connection: Connection? = nil) throws {
        let array = try connection?.root.array("a")
        var now = bytes
        var savepoints: [(savepoint: Savepoint?, bytes: [UInt8])] = []
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<50 where !now.isEmpty:
                let start = Int.random(in: 0..<now.count, using: &random)
                let most = random.chance(30) ? 3 * Self.block : 50
                let stop = min(start + Int.random(in: 1...most, using: &random), now.count)
                let step = random.chance(80) ? 1 : Int.random(in: 2...5000, using: &random)
                let byte = UInt8.random(in: 0...3, using: &random)
                try array?.fill([.range(start: start, stop: stop, step: step)], with: byte)
                for at in stride(from: start, to: stop, by: step) { now[at] = byte }
            case 50..<58:
                let size = Int.random(in: 0...(6 * Self.block), using: &random)
                try array?.resize([size])
                now = Array(now.prefix(size)) + [UInt8](repeating: 0, count: max(0, size - now.count))
            case 58..<66:
                let values = [UInt8](repeating: 4, count: Int.random(in: 0...300, using: &random))
                try array?.append(values)
                now += values
            case 66..<82:
                savepoints.append((try connection?.savepointOfTransaction(), now))
            case 82..<94 where !savepoints.isEmpty:
                let place = Int.random(in: savepoints.indices, using: &random)
                try savepoints[place].savepoint?.rollback()
                now = savepoints[place].bytes
                savepoints.removeSubrange((place + 1)...)
            case 94...:
                try connection?.abort()
                (now, savepoints) = (bytes, [])
            default: break
            }
        }
        number += 1
        try connection?.note("number").set("\(number)")
        try connection?.commit()
        bytes = now
        if random.chance(8) { _ = try connection?.database.compact() }
    }
}

@Suite("Arrays against a model, killed", .timeLimit(.minutes(15)))
struct ArrayKillTests {
    private static func configuration(_ keepsHistory: Bool) -> Database.Configuration {
        var configuration = Database.Configuration.small
        configuration.blockSize = ArrayScript.block
        configuration.mapSize = 1 << 20
        // Most of a transaction is stored ahead of its commit.
        configuration.dirtyBudget = 2 * ArrayScript.block
        configuration.keepsHistory = keepsHistory
        return configuration
    }

    @Test(
        "savepoints, compaction and transactions stored ahead, killed at any moment, leave whole transactions",
        arguments: [false, true])
    func kills(_ keepsHistory: Bool) async throws {
        var random = ArrayRandom("ArrayKillTests.kills \(keepsHistory)")
        let folder = try TemporaryFolder()
        let path = folder.file()
        do {
            let database = try Database(path, create: true, configuration: Self.configuration(keepsHistory))
            let connection = try database.connect()
            try connection.root.set("number", Note("0"))
            _ = try connection.createArray("a", shape: [3 * ArrayScript.block], of: UInt8.self)
            try connection.commit()
            try connection.close()
            try database.close()
        }
        let seed = random.next()
        var model = ArrayScript(seed: seed)
        for round in 0..<8 {
            let (done, delay) = (model.number, UInt32.random(in: 0...200_000, using: &random))
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [
                    path = path as String, keepsHistory = keepsHistory as Bool, seed = seed as UInt64,
                    done = done as Int, delay = delay as UInt32, round = round as Int
                ] in
                var script = ArrayScript(seed: seed)
                while script.number < done { try script.run() }
                let database = try Database(path, configuration: ArrayKillTests.configuration(keepsHistory))
                let connection = try database.connect()
                // Every other time three transactions come first, however slow the machine is.
                let finished = DispatchSemaphore(value: 0)
                Thread.detachNewThread {
                    for _ in 0..<(round % 2 * 3) { finished.wait() }
                    usleep(delay)
                    kill(getpid(), SIGKILL)
                }
                while true {
                    try script.run(connection)
                    finished.signal()
                    try "\(script.number)".write(
                        toFile: path + ".acknowledged", atomically: true, encoding: .utf8)
                }
            }
            let acknowledged = (try? String(contentsOfFile: path + ".acknowledged", encoding: .utf8)) ?? "0"
            let least = try #require(Int(acknowledged))

            let database = try Database(path, configuration: Self.configuration(keepsHistory))
            let connection = try database.connect()
            let found = try #require(Int(try connection.note("number").text))
            #expect(found >= least && found <= max(least, done) + 1)
            while model.number < found { try model.run() }
            let array = try connection.root.array("a")
            try #require(array.shape == [model.bytes.count])
            #expect(try array.withUnsafeBytes { memory in model.bytes.elementsEqual(memory) })
            #expect(try database.information().pendingBlocks == 0)
            #expect(try database.verify().problems == [])
            if !keepsHistory { try database.expectExactBlocks([array]) }
            try connection.close()
            try database.close()
        }
        #expect(model.number > 8)
    }
}
