import Foundation
import Testing

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

/// Where a process is killed, and what it was doing.
struct Stop: Sendable, CustomTestStringConvertible {
    let place: CommitProbe.Place
    let kind: Workload.Kind
    var testDescription: String { "\(place), \(kind)" }
}

@Suite("Processes that are killed", .timeLimit(.minutes(15)))
struct KillTests {
    static let stops = CommitProbe.Place.allCases.flatMap { place in
        Workload.Kind.allCases.filter { kind in
            switch place {
            case .blocksFilled, .blocksWritten: kind == .bulk || kind == .spilled
            // A journal begins with quick, small commits.
            case .appended, .flushed: kind == .small
            default: true
            }
        }.map { Stop(place: place, kind: $0) }
    }

    /// Runs the workload in a process of its own that kills itself when it reaches `place` for the
    /// `count`th time, or after `delay` microseconds.
    private func kill(_ workload: Workload, at place: String?, count: Int, delay: UInt32) async {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [
                workload = workload as Workload, place = place as String?, count = count as Int,
                delay = delay as UInt32
            ] in
            let database = try Database(workload.path, configuration: workload.configuration)
            if let place = place.flatMap(CommitProbe.Place.init) {
                nonisolated(unsafe) var left = count
                CommitProbe.set { reached in
                    guard reached == place else { return }
                    left -= 1
                    if left == 0 { _ = Glibc.kill(getpid(), SIGKILL) }
                }
            } else {
                let start: @Sendable () -> Void = {
                    Thread.detachNewThread {
                        usleep(delay)
                        _ = Glibc.kill(getpid(), SIGKILL)
                    }
                }
                // `count` commits first, however slow the machine is.
                nonisolated(unsafe) var left = count
                if count == 0 { start() }
                CommitProbe.set { reached in
                    guard reached == .finished else { return }
                    left -= 1
                    if left == 0 { start() }
                }
            }
            try workload.run(database)
        }
    }

    /// Opens what a killed process left, decides what is in doubt, and checks everything.
    private func recover(_ workload: Workload, committing: Bool) throws {
        let database = try Database(workload.path, configuration: workload.configuration)
        let doubtful = try database.transactionsInDoubt()
        #expect(doubtful.count <= (workload.kind == .several ? 1 : 0))
        for id in doubtful { try database.resolve(id, commit: committing) }
        try workload.check(database, decided: doubtful.isEmpty ? nil : committing)
        let information = try database.information()
        #expect(information.pendingBlocks == 0)
        #expect(information.preparedTransactions == 0)
        #expect(try database.verify().problems == [])
        try database.close()
    }

    private func makeDatabase(_ kind: Workload.Kind) throws -> (TemporaryFolder, Workload) {
        let folder = try TemporaryFolder()
        let workload = Workload(path: folder.file(), kind: kind)
        let database = try Database(
            workload.path, create: true, configuration: workload.configuration)
        try workload.prepare(database)
        try database.close()
        return (folder, workload)
    }

    @Test("a kill at any place of a commit loses nothing that was acknowledged", arguments: stops)
    func anyPlace(_ test: Stop) async throws {
        let (folder, workload) = try makeDatabase(test.kind)
        let isAhead = test.place == .blocksFilled || test.place == .blocksWritten
        // One transaction of that kind stores blocks ahead about twenty times.
        let scale = isAhead && test.kind == .spilled ? 17 : 1
        for count in 1...4 {
            await kill(workload, at: test.place.rawValue, count: count * scale - scale + 1, delay: 0)
            try recover(workload, committing: count % 2 == 0)
        }
        // What could be acknowledged was.
        let last = try workload.lastAcknowledged()
        #expect(last >= (isAhead ? 1 : 6))
        withExtendedLifetime(folder) {}
    }

    @Test(
        "kills at random moments lose nothing that was acknowledged", arguments: Workload.Kind.allCases, 0..<2
    )
    func moments(_ kind: Workload.Kind, _ series: Int) async throws {
        var random = ArrayRandom("KillTests.moments \(kind) \(series)")
        let (folder, workload) = try makeDatabase(kind)
        for round in 0..<24 {
            let delay = UInt32.random(
                in: 0...([.bulk, .spilled].contains(kind) ? 500_000 : 40_000), using: &random)
            await kill(workload, at: nil, count: round % 8 == 7 ? 1 : 0, delay: delay)
            try recover(workload, committing: round % 2 == 0)
        }
        #expect(try workload.lastAcknowledged() > 0)
        withExtendedLifetime(folder) {}
    }

    @Test(
        "two processes write, one is killed: the other goes on, and both lose nothing",
        arguments: [CommitProbe.Place.blocksWritten, .voting, .recordsWritten, .voted, .finishing, .finished])
    func twoProcesses(_ place: CommitProbe.Place) async throws {
        let (folder, victim) = try makeDatabase(place == .blocksWritten ? .bulk : .small)
        var survivor = Workload(path: victim.path, kind: .small)
        survivor.name = "survivor"
        do {
            let database = try Database(victim.path, configuration: .small)
            try survivor.prepare(database)
            try database.close()
        }
        async let killed: Void = kill(victim, at: place.rawValue, count: 5, delay: 0)
        await #expect(processExitsWith: .success) { [survivor = survivor as Workload] in
            let database = try Database(survivor.path, configuration: .small)
            try survivor.run(database, count: 40)
            try database.close()
        }
        await killed
        try recover(victim, committing: true)
        let database = try Database(victim.path, configuration: .small)
        #expect(try survivor.check(database) == 40)
        try database.close()
        withExtendedLifetime(folder) {}
    }

    /// A process that takes the commit lock, says so, and is killed a little later.
    private func dieHolding(_ workload: Workload, _ ready: String) async {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [workload = workload as Workload, ready = ready as String] in
            let database = try Database(workload.path, configuration: workload.configuration)
            CommitProbe.set { place in
                guard place == .voting else { return }
                _ = FileManager.default.createFile(atPath: ready, contents: nil)
                usleep(300_000)
                _ = Glibc.kill(getpid(), SIGKILL)
            }
            try workload.run(database)
        }
    }

    @Test("the commit lock is free again when its holder dies")
    func lockOfTheDead() async throws {
        let (folder, workload) = try makeDatabase(.small)
        let ready = folder.file("ready")
        let database = try Database(workload.path, configuration: workload.configuration)
        let connection = try database.connect()
        async let holder: Void = dieHolding(workload, ready)
        while !FileManager.default.fileExists(atPath: ready) { try await Task.sleep(for: .milliseconds(5)) }
        // Waits for the holder, and then goes on.
        try connection.root.set("mine", Note("mine"))
        try connection.commit()
        await holder
        #expect(try connection.note(workload.name).text == "0")
        try connection.close()
        try workload.check(database, decided: false)
    }
}
