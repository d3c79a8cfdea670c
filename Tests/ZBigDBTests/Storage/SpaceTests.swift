import Foundation
import Testing
import VirtMem

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Space: the map, its limit, the disk", .serialized)
struct SpaceTests {
    private func fill(_ array: BigArray, _ byte: UInt8) throws {
        try array.withUnsafeMutableBytes { bytes in
            for at in stride(from: 0, to: bytes.count, by: 4096) { bytes[at] = byte }
        }
    }

    private func sum(_ array: BigArray) throws -> Set<UInt8> {
        try array.withUnsafeBytes { bytes in
            Set(stride(from: 0, to: bytes.count, by: 4096).map { bytes[$0] })
        }
    }

    @Test(
        "the map grows under open snapshots and mapped arrays of other connections",
        arguments: LoadMode.allCases)
    func growth(_ mode: LoadMode) throws {
        var configuration = mode.configuration
        configuration.mapSize = 1 << 20
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        let one = try database.connect()
        let first = try one.createArray("first", shape: [1 << 19], of: UInt8.self)
        try fill(first, 1)
        for index in 0..<200 { try one.root.set("\(index)", Note("\(index)")) }
        try one.commit()
        let two = try database.connect()
        let second = try two.root.array("first")
        let view = try second.view(as: UInt8.self)
        #expect(try sum(second) == [1])
        let start = try database.openStorage().environment.mapSize
        for round in 0..<6 {
            let array = try one.createArray("\(round) array", shape: [8 << 20], of: UInt8.self)
            try fill(array, UInt8(round + 10))
            try one.commit()
            // The snapshot of the other still shows what it did, also what it had not looked at.
            #expect(try two.note("\(round * 30)").text == "\(round * 30)")
            #expect(try two.root.object("\(round) array") == nil)
            #expect(view[4096 * round] == 1)
        }
        #expect(try database.openStorage().environment.mapSize > start)
        #expect(try database.openStorage().environment.generation > 0)
        try two.begin()
        for round in 0..<6 { #expect(try sum(two.root.array("\(round) array")) == [UInt8(round + 10)]) }
        view[0] = 2
        try two.commit()
        #expect(try database.verify().problems == [])
    }

    @Test("readers and a writer that grows the map at once", .timeLimit(.minutes(15)))
    func growthUnderThreads() async throws {
        var configuration = Database.Configuration.small
        configuration.mapSize = 1 << 20
        let temporary = try TemporaryDatabase(configuration)
        let database = temporary.database
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let connection = try database.connect()
                for round in 0..<40 {
                    let array = try connection.createArray("\(round)", shape: [2 << 20], of: UInt8.self)
                    try array.withUnsafeMutableBytes { bytes in
                        for at in stride(from: 0, to: bytes.count, by: 4096) { bytes[at] = UInt8(round) }
                    }
                    try connection.commit()
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    let connection = try database.connect()
                    while try connection.root.object("39") == nil {
                        try connection.begin()
                        guard let name = try connection.root.names().randomElement() else { continue }
                        let array = try connection.root.array(name)
                        let at = Int.random(in: 0..<512) * 4096
                        let value = try array.element(at, as: UInt8.self)
                        #expect("\(value)" == name)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("a full database says so; the transaction is gone, everything else goes on")
    func full() throws {
        var configuration = Database.Configuration.small
        configuration.mapSize = 1 << 20
        configuration.maximumSize = 12 << 20
        let temporary = try TemporaryDatabase(configuration)
        let (one, two) = (try temporary.database.connect(), try temporary.database.connect())
        let array = try one.createArray("a", shape: [2 << 20], of: UInt8.self)
        try fill(array, 1)
        try one.commit()
        // Too much within the commit: found by the vote.
        for index in 0..<3 {
            let more = try one.createArray("more \(index)", shape: [64 << 16], of: UInt8.self)
            for block in 0..<64 {
                try more.setElement(block * 65536 + 65535, to: UInt8(1))
                if block > 38 { break }
            }
            do {
                try one.commit()
            } catch {
                #expect((error as? StorageError) == .full(path: temporary.path, limit: 12 << 20))
                try one.abort()
            }
        }
        var failures = 0
        for index in 0..<400 {
            let big = Note(String(repeating: "x", count: 100_000))
            try one.root.set("note \(index)", big)
            do {
                try one.commit()
            } catch {
                #expect((error as? StorageError) == .full(path: temporary.path, limit: 12 << 20))
                failures += 1
                try one.abort()
                #expect(try one.root.object("note \(index)") == nil)
                break
            }
        }
        #expect(failures == 1)
        try two.begin()
        #expect(try sum(two.root.array("a")) == [1])
        #expect(try temporary.database.verify().problems == [])
        // Making room works, from another connection, and then there is room.
        try two.root.array("a").resize([4096])
        try two.commit()
        try one.begin()
        try one.note("note 0").set("small")
        try one.commit()
        #expect(try temporary.database.verify().problems == [])
    }

    @Test("a full disk says so, nothing is half stored, and room makes it go on")
    func diskFull() throws {
        let folder = try TemporaryFolder()
        let mount = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        guard run("mount", "-t", "tmpfs", "-o", "size=6m", "none", mount).status == 0 else {
            print("SpaceTests.diskFull skipped: mounting a small file system needs root")
            return
        }
        defer { _ = run("umount", "-l", mount) }
        let path = mount + "/test.zbigdb"
        let database = try Database(path, create: true, configuration: .small)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [1 << 20], of: UInt8.self)
        try fill(array, 1)
        try connection.commit()
        // Small enough for the commit, and large enough to be written ahead.
        for size in [6 << 20, 16 << 20] {
            let more = try connection.createArray("more", shape: [size], of: UInt8.self)
            try fill(more, 2)
            do {
                try connection.commit()
                Issue.record("it cannot have fitted")
            } catch VirtMemError.storeFailed(_, _, let cause) {
                #expect((cause as? StorageError) == .diskFull(path: path))
            } catch {
                #expect((error as? StorageError) == .diskFull(path: path))
            }
            try connection.abort()
            #expect(try connection.root.object("more") == nil)
            #expect(try sum(array) == [1])
        }
        try array.setElement(0, to: UInt8(9))
        try connection.commit()
        let other = try database.connect()
        #expect(try other.root.array("a").element(0, as: UInt8.self) == 9)
        #expect(try database.information().pendingBlocks == 0)
        #expect(try database.verify().problems == [])
        for connection in [connection, other] { try connection.close() }
        try database.close()
    }

    @Test("a new database on a full disk is an error")
    func diskFullAtCreation() throws {
        let folder = try TemporaryFolder()
        let mount = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        guard run("mount", "-t", "tmpfs", "-o", "size=16k", "none", mount).status == 0 else {
            print("SpaceTests.diskFullAtCreation skipped: mounting a small file system needs root")
            return
        }
        defer { _ = run("umount", "-l", mount) }
        let path = mount + "/test.zbigdb"
        #expect(throws: StorageError.diskFull(path: path)) {
            try Database(path, create: true, configuration: .small)
        }
    }

    @Test("space of what was removed is used again")
    func reuse() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [16 * 65536], of: UInt8.self)
        for round in 1...30 {
            try fill(array, UInt8(round))
            try connection.commit()
        }
        #expect(try temporary.database.information().usedBytes < 8 << 20)
        #expect(try temporary.database.information().blocks == 16)
    }

    @Test("LMDB's own tool reads the file")
    func ownTool() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [65536], of: UInt8.self)
        try fill(array, 1)
        try connection.commit()
        let result = run("mdb_stat", "-n", "-a", temporary.path)
        guard result.status != 127 else {
            Issue.record("mdb_stat was not found: install it with: apt-get install lmdb-utils")
            return
        }
        #expect(result.status == 0)
        for tree in ["blocks", "meta", "outcomes", "pending", "prepared", "records", "transactions"] {
            #expect(result.output.contains("Status of \(tree)"))
        }
    }

    /// Runs a program; 127 if it is not there.
    private func run(_ arguments: String...) -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = Foundation.FileHandle.nullDevice
        guard (try? process.run()) != nil else { return (127, "") }
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
