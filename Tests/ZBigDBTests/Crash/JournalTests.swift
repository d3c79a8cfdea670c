import Foundation
import Testing

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

/// The journal (FORMAT.md): small commits are durable with one write to it.
@Suite("The journal", .timeLimit(.minutes(15)))
struct JournalTests {
    private static let blocks = 8
    private static let perBlock = Database.Configuration.small.blockSize / 8

    private static func prepare(_ path: String, writers: Int = 1) throws {
        let database = try Database(path, create: true, configuration: .small)
        let connection = try database.connect()
        for writer in 0..<writers {
            try connection.root.set("note\(writer)", Note("0"))
            _ = try connection.createArray("array\(writer)", shape: [blocks * perBlock], of: Int64.self)
        }
        try connection.commit()
        try connection.close()
        try database.close()
    }

    /// Transaction `number`: the note says so, and one element of a block.
    private static func commit(_ number: Int, _ writer: Int, _ connection: Connection) throws {
        try connection.note("note\(writer)").set("\(number)")
        let array = try connection.root.array("array\(writer)")
        try array.setElement(number % blocks * perBlock + number % 1000, to: Int64(number))
        try connection.commit()
    }

    /// Checks that transaction `least` or a later one is there, whole. Returns which.
    @discardableResult
    private static func check(_ database: Database, _ writer: Int, atLeast least: Int) throws -> Int {
        let connection = try database.connect()
        defer { try? connection.close() }
        let last = try #require(Int(try connection.note("note\(writer)").text))
        guard last >= least else { throw Lost(writer: writer, found: last, acknowledged: least) }
        let array = try connection.root.array("array\(writer)")
        for number in max(1, last - 500)...max(1, last) where number <= last {
            let place = number % blocks * perBlock + number % 1000
            let found = try array.element(place, as: Int64.self)
            if found != Int64(number) { throw Lost(writer: writer, found: Int(found), acknowledged: number) }
        }
        return last
    }

    private struct Lost: Error {
        let writer: Int
        let found: Int
        let acknowledged: Int
    }

    /// Commits from `first` on, at least to `last`, and until there is a journal, which quick commits begin.
    /// Returns the last.
    @discardableResult
    private static func commit(
        _ first: Int, to last: Int, _ writer: Int, _ connection: Connection, _ path: String
    ) throws -> Int {
        var number = first
        while true {
            try commit(number, writer, connection)
            if number >= last, try JournalFile.isActive(path) { return number }
            if number > 20_000 { throw ChildFailure("no journal") }
            number += 1
        }
    }

    @Test("a power cut at any moment loses nothing that was acknowledged", arguments: 0..<2)
    func powerCut(_ series: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        await #expect(processExitsWith: .success) { [path = path as String, series = series as Int] in
            try ChildFailure.reporting(path) {
                var random = ArrayRandom("JournalTests.powerCut \(series)")
                var (cuts, journaled) = (0, 0)
                let database = try Database(path, configuration: .small)
                let power = try PowerCut(path)
                let connection = try database.connect()
                for number in 1...400 {
                    try JournalTests.commit(number, 0, connection)
                    // Now and then something that is no entry: a checkpoint.
                    if number % 90 == 0 { _ = try database.compact() }
                    guard number == 8 || random.chance(10) else { continue }
                    let copy = path + ".cut\(number)"
                    try power.make(copy, &random, hasWriters: false) {}
                    let left = try Database(copy, configuration: .small)
                    try JournalTests.check(left, 0, atLeast: number)
                    let report = try left.verify()
                    if !report.problems.isEmpty { throw ChildFailure("\(report.problems)") }
                    try left.close()
                    guard !FileManager.default.fileExists(atPath: JournalFile.path(of: copy)) else {
                        throw ChildFailure("the journal stays")
                    }
                    cuts += 1
                    if try JournalFile.isActive(path) { journaled += 1 }
                }
                guard cuts > 10, journaled > 3 else {
                    throw ChildFailure("no journal")
                }
                CommitProbe.set(nil)
                try connection.close()
                try database.close()
            }
        }
        #expect(ChildFailure.reported(path) == nil)
    }

    @Test("writers that share a flush lose nothing that was acknowledged to any of them")
    func powerCutOfMany() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path, writers: 6)
        await #expect(processExitsWith: .success) { [path = path as String] in
            try ChildFailure.reporting(path) {
                var random = ArrayRandom("JournalTests.powerCutOfMany")
                let database = try Database(path, configuration: .small)
                let first = try database.connect()
                // The journal is active before there is more than one writer.
                let begun = try JournalTests.commit(1, to: 12, 0, first, path)
                let acknowledged = Counters(6)
                acknowledged.set(0, begun)
                // From here on every state is known.
                let power = try PowerCut(path)
                try database.openStorage().environment.journal.checkpoint(database.openStorage().environment)
                let group = DispatchGroup()
                for writer in 0..<6 {
                    Thread.detachNewThread {
                        group.enter()
                        defer { group.leave() }
                        do {
                            let connection = try database.connect()
                            var number = acknowledged[writer]
                            while !acknowledged.isStopped {
                                number += 1
                                try JournalTests.commit(number, writer, connection)
                                acknowledged.set(writer, number)
                            }
                            try connection.close()
                        } catch {
                            fatalError("\(error)")
                        }
                    }
                }
                for cut in 0..<25 {
                    usleep(UInt32.random(in: 0...30_000, using: &random))
                    // The file before may be open in some thread for a moment yet, which removes its journal at the end.
                    let copy = path + ".cut\(cut)"
                    guard let known = try power.make(copy, &random, hasWriters: true, { acknowledged.all })
                    else { continue }
                    let left = try Database(copy, configuration: .small)
                    for writer in 0..<6 { try JournalTests.check(left, writer, atLeast: known[writer]) }
                    guard try left.verify().problems.isEmpty else { throw ChildFailure("damaged") }
                    try left.close()
                }
                acknowledged.stop()
                group.wait()
                CommitProbe.set(nil)
                try first.close()
                try database.close()
            }
        }
        #expect(ChildFailure.reported(path) == nil)
    }

    @Test("a power cut while the journal is worked off changes nothing")
    func cutDuringRecovery() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            try JournalTests.commit(1, to: 40, 0, connection, path)
            kill(getpid(), SIGKILL)
        }
        #expect(try JournalFile.isActive(path))
        for _ in 0..<3 {
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                CommitProbe.set { if $0 == .flushed { kill(getpid(), SIGKILL) } }
                _ = try Database(path, configuration: .small)
            }
            #expect(try JournalFile.isActive(path))
        }
        let database = try Database(path, configuration: .small)
        try Self.check(database, 0, atLeast: 40)
        #expect(try database.verify().problems == [])
        try database.close()
    }

    @Test("who opens the file ends the journal of another process, which goes on without")
    func secondProcess() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path, writers: 2)
        let database = try Database(path, configuration: .small)
        let counters = Counters(1)
        Thread.detachNewThread {
            do {
                let connection = try database.connect()
                var number = try Self.commit(1, to: 20, 0, connection, path)
                counters.set(0, number)
                while !counters.isStopped {
                    number += 1
                    try Self.commit(number, 0, connection)
                    counters.set(0, number)
                    usleep(1000)
                }
                try connection.close()
            } catch {
                Issue.record(error)
            }
            counters.end()
        }
        while counters[0] < 20 { try await Task.sleep(for: .milliseconds(2)) }
        await #expect(processExitsWith: .success) { [path = path as String] in
            try ChildFailure.reporting(path) {
                let database = try Database(path, configuration: .small)
                guard try !JournalFile.isActive(path) else { throw ChildFailure("the journal goes on") }
                let connection = try database.connect()
                for number in 1...30 { try Self.commit(number, 1, connection) }
                // Neither begins one while the other is there.
                guard try !JournalFile.isActive(path) else { throw ChildFailure("there is a journal") }
                try connection.close()
                try database.close()
            }
        }
        #expect(ChildFailure.reported(path) == nil)
        counters.stop()
        while !counters.hasEnded { try await Task.sleep(for: .milliseconds(2)) }
        try Self.check(database, 0, atLeast: counters[0])
        let connection = try database.connect()
        let last = try Self.commit(31, to: 60, 1, connection, path)
        #expect(try Self.check(database, 1, atLeast: last) == last)
        try connection.close()
        try database.close()
        #expect(!FileManager.default.fileExists(atPath: JournalFile.path(of: path)))
    }

    @Test("a process that is killed while another has the file open leaves its commits to it")
    func killedBesideReader() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        var reading = Database.Configuration.small
        reading.isReadOnly = true
        let reader = try Database(path, configuration: reading)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            try Self.commit(1, to: 30, 0, connection, path)
            kill(getpid(), SIGKILL)
        }
        #expect(try JournalFile.isActive(path))
        try Self.check(reader, 0, atLeast: 30)
        await #expect(processExitsWith: .success) { [path = path as String] in
            let database = try Database(path, configuration: .small)
            guard try !JournalFile.isActive(path) else { throw ChildFailure("the journal goes on") }
            let last = try Self.check(database, 0, atLeast: 30)
            let connection = try database.connect()
            try Self.commit(last + 1, 0, connection)
            try connection.close()
            try database.close()
        }
        try Self.check(reader, 0, atLeast: 31)
        try reader.close()
    }

    @Test("a file with a journal to work off cannot be opened for reading, one that does not fit not at all")
    func refused() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        let before = folder.file("before")
        try FileManager.default.copyItem(atPath: path, toPath: before)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let database = try Database(path, configuration: .small)
            let connection = try database.connect()
            try JournalTests.commit(1, to: 40, 0, connection, path)
            kill(getpid(), SIGKILL)
        }
        var reading = Database.Configuration.small
        reading.isReadOnly = true
        #expect(throws: StorageError.needsRecovery(path: path)) { try Database(path, configuration: reading) }
        let journal = JournalFile.path(of: path)
        try FileManager.default.copyItem(atPath: journal, toPath: JournalFile.path(of: before))
        #expect(throws: StorageError.foreignJournal(path: before, journal: JournalFile.path(of: before))) {
            try Database(before, configuration: .small)
        }
        let database = try Database(path, configuration: .small)
        try Self.check(database, 0, atLeast: 40)
        try database.close()
        try Database(path, configuration: reading).close()
        // A new file has nothing to do with a journal that an old one left.
        try FileManager.default.moveItem(atPath: JournalFile.path(of: before), toPath: journal)
        try FileManager.default.removeItem(atPath: path)
        try Self.prepare(path)
        try Database(path, configuration: .small).close()
    }

    @Test("a journal that is not used ends, and lets go of what it keeps")
    func idle() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        let database = try Database(path, configuration: .small)
        let connection = try database.connect()
        let begun = try Self.commit(1, to: 20, 0, connection, path)
        while try JournalFile.isActive(path) { try await Task.sleep(for: .milliseconds(50)) }
        let last = try Self.commit(begun + 1, to: begun + 20, 0, connection, path)
        try connection.close()
        try database.close()
        #expect(!FileManager.default.fileExists(atPath: JournalFile.path(of: path)))
        let again = try Database(path, configuration: .small)
        #expect(try Self.check(again, 0, atLeast: last) == last)
        try again.close()
    }

    @Test("object numbers and block numbers are never given out twice")
    func numbers() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try Self.prepare(path)
        for round in 0..<3 {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, round = round as Int] in
                let database = try Database(path, configuration: .small)
                let connection = try database.connect()
                for number in 1...50 {
                    // Takes more numbers than were reserved in the first batch.
                    for index in 0..<3 {
                        try connection.root.set("new.\(round).\(number).\(index)", Note("\(number)"))
                    }
                    try connection.commit()
                }
                kill(getpid(), SIGKILL)
            }
        }
        let database = try Database(path, configuration: .small)
        let connection = try database.connect()
        for round in 0..<3 {
            for number in 1...50 {
                for index in 0..<3 {
                    #expect(try connection.note("new.\(round).\(number).\(index)").text == "\(number)")
                }
            }
        }
        #expect(try database.verify().problems == [])
        try connection.close()
        try database.close()
    }
}

/// Numbers that several threads count up.
private final class Counters: @unchecked Sendable {
    // Touched under the lock only.
    private var values: [Int]
    private var stopped = false
    private var ended = false
    private let lock = NSLock()

    init(_ count: Int) { values = Array(repeating: 0, count: count) }
    subscript(index: Int) -> Int { lock.withLock { values[index] } }
    var all: [Int] { lock.withLock { values } }
    var isStopped: Bool { lock.withLock { stopped } }
    func set(_ index: Int, _ value: Int) { lock.withLock { values[index] = value } }
    var hasEnded: Bool { lock.withLock { ended } }
    func stop() { lock.withLock { stopped = true } }
    func end() { lock.withLock { ended = true } }
}
