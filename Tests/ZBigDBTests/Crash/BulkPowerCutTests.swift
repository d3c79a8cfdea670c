import Foundation
import Synchronization
import Testing

@testable import ZBigDB

/// Transactions that store blocks ahead of their flip do not flush them one batch at a time.
@Suite("Power cuts in large transactions", .timeLimit(.minutes(15)))
struct BulkPowerCutTests {
    private static let bytes = 40 << 20
    /// One element in each page.
    private static let step = 512

    private static func fill(_ connection: Connection, _ value: Int) throws {
        try connection.note("note").set("\(value)")
        let array = try connection.root.array("array")
        try array.withUnsafeMutableBytes(of: 0..<bytes) { bytes in
            let elements = bytes.bindMemory(to: Int64.self)
            for at in stride(from: 0, to: elements.count, by: step) { elements[at] = Int64(value) }
        }
    }

    private static func prepare(_ database: Database) throws -> Connection {
        let connection = try database.connect()
        try connection.root.set("note", Note("0"))
        _ = try connection.createArray("array", shape: [bytes / 8], of: Int64.self)
        try connection.commit()
        return connection
    }

    private static func check(_ path: String, _ value: Int) throws {
        let database = try Database(path, configuration: .small)
        let connection = try database.connect()
        let text = try connection.note("note").text
        guard text == "\(value)" else { throw ChildFailure("\(text) is there, not \(value)") }
        let wrong = try connection.root.array("array").withUnsafeBytes(of: 0..<bytes) { bytes in
            let elements = bytes.bindMemory(to: Int64.self)
            return stride(from: 0, to: elements.count, by: step).count { elements[$0] != Int64(value) }
        }
        guard wrong == 0 else { throw ChildFailure("\(wrong) pages are not of transaction \(value)") }
        let report = try database.verify()
        guard report.problems.isEmpty else { throw ChildFailure("\(report.problems)") }
        try connection.close()
        try database.close()
    }

    @Test("a power cut between batches, or after the flip, loses no commit and leaves no part of one")
    func cuts() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        await #expect(processExitsWith: .success) { [path = path as String] in
            try ChildFailure.reporting(path) {
                let database = try Database(path, create: true, configuration: .small)
                let connection = try BulkPowerCutTests.prepare(database)
                let power = try PowerCut(path)
                let state = Mutex((random: ArrayRandom("BulkPowerCutTests"), cuts: 0, value: 0))
                let failures = Mutex<[String]>([])
                let cut: @Sendable (Int) -> Void = { chance in
                    do {
                        try state.withLock { state in
                            guard state.random.chance(chance) else { return }
                            let copy = path + ".cut\(state.cuts)"
                            try power.make(copy, &state.random, hasWriters: false) {}
                            try BulkPowerCutTests.check(copy, state.value)
                            for file in [copy, copy + "-lock"] {
                                try? FileManager.default.removeItem(atPath: file)
                            }
                            state.cuts += 1
                        }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
                power.onReach { if $0 == .blocksWritten { cut(25) } }
                for value in 1...8 {
                    try BulkPowerCutTests.fill(connection, value)
                    try connection.commit()
                    state.withLock { $0.value = value }
                    cut(50)
                }
                CommitProbe.set(nil)
                try connection.close()
                try database.close()
                let (cuts, found) = (state.withLock { $0.cuts }, failures.withLock { $0 })
                guard found.isEmpty, cuts >= 4 else { throw ChildFailure("\(cuts) cuts, \(found)") }
            }
        }
        #expect(ChildFailure.reported(path) == nil)
    }

    @Test("the batches of a transaction are flushed together, by its flip")
    func flushes() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        await #expect(processExitsWith: .success) { [path = path as String] in
            let database = try Database(path, create: true, configuration: .small)
            let connection = try BulkPowerCutTests.prepare(database)
            let counts = Mutex((batches: 0, checkpoints: 0))
            let sequences = Mutex<Set<UInt64>>([])
            try BulkPowerCutTests.fill(connection, 1)
            CommitProbe.set { place in
                if place == .flushed { counts.withLock { $0.checkpoints += 1 } }
                guard place == .blocksWritten else { return }
                counts.withLock { $0.batches += 1 }
                if let header = try? JournalFile.header(path), header.checkpoint != nil {
                    sequences.withLock { _ = $0.insert(header.sequence) }
                }
            }
            try connection.commit()
            CommitProbe.set(nil)
            #expect(counts.withLock { $0.batches } >= 2)
            #expect(sequences.withLock { $0.count } == 1)
            // The journal's beginning and the flip.
            #expect(counts.withLock { $0.checkpoints } == 2)
            try connection.close()
            try database.close()
        }
    }

    @Test("what the background could not write fails this commit and all others")
    func failure() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        await #expect(processExitsWith: .success) { [path = path as String] in
            let database = try Database(path, create: true, configuration: .small)
            let connection = try BulkPowerCutTests.prepare(database)
            try BulkPowerCutTests.fill(connection, 1)
            try connection.commit()
            try BulkPowerCutTests.fill(connection, 2)
            let journal = try database.openStorage().environment.journal
            CommitProbe.set { if $0 == .blocksWritten { journal.noteWriteout(failure: EIO) } }
            for value in 3...4 {
                #expect(throws: StorageError.self) { try connection.commit() }
                CommitProbe.set(nil)
                try connection.abort()
                try BulkPowerCutTests.fill(connection, value)
            }
            try connection.abort()
            try connection.close()
            try database.close()
            #expect(try JournalFile.isActive(path))
        }
        try Self.check(path, 1)
    }

    @Test("an array that is written anew again and again takes no more room from some time on")
    func room() throws {
        let temporary = try TemporaryDatabase()
        let connection = try Self.prepare(temporary.database)
        var sizes: [Int] = []
        for value in 1...9 {
            try Self.fill(connection, value)
            try connection.commit()
            let attributes = try FileManager.default.attributesOfItem(atPath: temporary.database.path)
            sizes.append(try #require(attributes[.size] as? Int))
        }
        // What is there, what the connection's snapshot saw before, and what is written.
        #expect(sizes[8] < Self.bytes * 7 / 2)
        #expect(sizes[8] < sizes[4] * 11 / 10)
    }
}
