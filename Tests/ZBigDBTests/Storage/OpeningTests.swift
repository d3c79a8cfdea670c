import Foundation
import Testing

@testable import ZBigDB

@Suite("Opening files")
struct OpeningTests {
    private let folder: TemporaryFolder
    private var path: String { folder.file() }

    init() throws { folder = try TemporaryFolder() }

    private func openError(_ path: String, create: Bool = false) -> StorageError? {
        do {
            _ = try Database(path, create: create, configuration: .small)
            return nil
        } catch {
            return error as? StorageError ?? .protocolViolation("not typed: \(error)")
        }
    }

    private func isForeign(_ error: StorageError?) -> Bool {
        if case .notADatabase = error { return true }
        return false
    }

    /// A closed database with an array of 40 stored blocks, and many names.
    private func makeDatabase() throws {
        let database = try Database(path, create: true, configuration: .small)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [40 * 65536], of: UInt8.self)
        try array.fill(with: UInt8(7))
        for index in 0..<300 { try connection.root.set("name \(index)", Note("\(index)")) }
        try connection.commit()
        try connection.close()
        try database.close()
    }

    @Test("a missing file, and one in a missing folder, are not found; nothing is made")
    func missing() {
        #expect(openError(path) == .notFound(path: path))
        #expect(!FileManager.default.fileExists(atPath: path))
        let deep = folder.path + "/no/such/folder"
        #expect(openError(deep, create: true) == .notFound(path: deep))
    }

    @Test("a folder, an empty file, garbage and a pipe are no databases")
    func foreign() throws {
        #expect(isForeign(openError(folder.path)))
        #expect(isForeign(openError(folder.path, create: true)))
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        #expect(isForeign(openError(path)))
        #expect(openError(path, create: true) == nil)
        for (name, content) in [
            ("short", Data([1, 2, 3])), ("text", Data(String(repeating: "garbage ", count: 5000).utf8)),
            ("zeros", Data(count: 100_000)),
        ] {
            let file = folder.file(name)
            _ = FileManager.default.createFile(atPath: file, contents: content)
            for create in [false, true] { #expect(isForeign(openError(file, create: create)), "\(name)") }
            #expect(FileManager.default.contents(atPath: file) == content)
        }
        #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
        #expect(isForeign(openError(folder.file("pipe"))))
        #expect(isForeign(openError("/dev/null")))
    }

    @Test("an LMDB file of another program is no database", arguments: [true, false])
    func foreignLMDB(_ hasMeta: Bool) throws {
        do {
            let environment = try LMDBEnvironment(path, LMDBEnvironment.Options(), create: true)
            try environment.write { transaction throws(WriteFailure) in
                do throws(StorageError) {
                    guard let tree = try transaction.tree(hasMeta ? "meta" : "mine", create: true) else {
                        return
                    }
                    do throws(WriteFailure) {
                        try transaction.put(tree, Array("format".utf8), Array("Other\0\0\0\0\0".utf8))
                    } catch {
                        throw .corrupt(path: "", what: "\(error)")
                    }
                } catch {
                    throw .failed(error)
                }
            }
        }
        for create in [false, true] { #expect(isForeign(openError(path, create: create))) }
    }

    @Test("a file of another format version says which")
    func version() throws {
        do {
            let database = try Database(path, create: true, configuration: .small)
            let storage = try database.openStorage()
            try storage.environment.write { transaction throws(WriteFailure) in
                try transaction.put(
                    storage.format.meta, FileFormat.MetaKey.format, FileFormat.signature + [9, 0, 0, 0])
            }
            try database.close()
        }
        #expect(
            openError(path)
                == .unsupportedVersion(path: path, found: 9, supported: FileFormat.version))
    }

    @Test("a tree that is missing is damage")
    func missingTree() throws {
        do {
            let environment = try LMDBEnvironment(path, LMDBEnvironment.Options(), create: true)
            try environment.write { transaction throws(WriteFailure) in
                guard let meta = try? transaction.tree("meta", create: true) else { return }
                try transaction.put(meta, FileFormat.MetaKey.format, FileFormat.signature + [2, 0, 0, 0])
            }
        }
        guard case .corrupt(_, let what) = openError(path) else {
            Issue.record("not damaged")
            return
        }
        #expect(what.contains("records"))
    }

    @Test("H38 a file that was cut off is a typed error wherever it was cut, also read-only")
    func truncated() async throws {
        try makeDatabase()
        let whole = try #require(FileManager.default.contents(atPath: path))
        let pages = whole.count / 4096
        // In a process of its own: touching what is missing would end it with SIGBUS.
        await #expect(processExitsWith: .success) {
            [path = path as String, size = whole.count as Int, pages = pages as Int] in
            let original = try #require(FileManager.default.contents(atPath: path))
            var cuts = [1, 100, 4095, 4096, 4097, 8191, 8192, 8193, size - 1, size - 4096, size - 5000]
            cuts += (2..<40).map { $0 * pages / 40 * 4096 }
            for cut in cuts {
                for isReadOnly in [true, false] {
                    try original.prefix(cut).write(to: URL(fileURLWithPath: path))
                    var configuration = Database.Configuration.small
                    configuration.isReadOnly = isReadOnly
                    do {
                        // Where nothing but unused pages is missing, the file is whole.
                        let database = try Database(path, configuration: configuration)
                        let report = try database.verify()
                        #expect(report.problems.isEmpty && report.blocks == 40, "cut at \(cut)")
                        #expect(cut > size / 2, "cut at \(cut)")
                        try database.close()
                    } catch let error as StorageError {
                        switch error {
                        case .truncated: #expect(cut > 4096, "\(cut): \(error)")
                        case .notADatabase: #expect(cut < 8192, "\(cut): \(error)")
                        default: Issue.record("\(cut): \(error)")
                        }
                        let length = FileManager.default.contents(atPath: path)?.count
                        #expect(length == cut, "the file was changed")
                    }
                }
            }
        }
    }

    @Test("a path that cannot be had: below a file, or in a file system that refuses")
    func noPermission() throws {
        _ = FileManager.default.createFile(atPath: folder.file("plain"), contents: Data("x".utf8))
        let below = folder.file("plain/db")
        guard case .system(_, _, let code) = openError(below, create: true) else {
            Issue.record("\(String(describing: openError(below, create: true)))")
            return
        }
        #expect(code == ENOTDIR)
        // Root may write everywhere but there.
        let proc = "/proc/\(getpid())/zbigdb"
        switch openError(proc, create: true) {
        case .permissionDenied, .notFound: break
        case let other: Issue.record("\(String(describing: other))")
        }
    }

    @Test("H36 a file is opened once in a process, whatever its name, also by threads at once")
    func alreadyOpen() async throws {
        let database = try Database(path, create: true, configuration: .small)
        #expect(openError(path) == .alreadyOpen(path: path))
        let link = folder.file("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        #expect(openError(link) == .alreadyOpen(path: link))
        try database.close()
        let path = path
        for _ in 0..<10 {
            let opened = await withTaskGroup(of: Database?.self) { group in
                for _ in 0..<4 {
                    group.addTask { try? Database(path, create: true, configuration: .small) }
                }
                return await group.reduce(into: [Database?]()) { $0.append($1) }
            }
            #expect(opened.compactMap { $0 }.count == 1)
            for database in opened { try database?.close() }
        }
    }

    @Test("H35 a read-only open needs the file, refuses every change, and changes nothing")
    func readOnly() throws {
        var configuration = Database.Configuration.small
        configuration.isReadOnly = true
        #expect(throws: StorageError.notFound(path: path)) {
            try Database(path, create: true, configuration: configuration)
        }
        #expect(!FileManager.default.fileExists(atPath: path))
        try makeDatabase()
        let before = FileManager.default.contents(atPath: path)
        do {
            let database = try Database(path, configuration: configuration)
            let connection = try database.connect()
            #expect(try connection.note("name 7").text == "7")
            let array = try connection.root.array("a")
            #expect(try array.element(5, as: UInt8.self) == 7)
            let refused = StorageError.readOnly(path: path)
            #expect(throws: refused) { try array.setElement(0, to: UInt8(1)) }
            #expect(throws: refused) { try connection.root.set("new", Note("new")) }
            try connection.abort()
            try connection.note("name 7").set("x")
            #expect(throws: refused) { try connection.commit() }
            try connection.abort()
            let view = try array.view(as: UInt8.self)
            view[0] = 1
            #expect(throws: (any Error).self) { try connection.commit() }
            try connection.abort()
            #expect(view[0] == 7)
            #expect(try database.verify().problems == [])
            #expect(try database.transactionsInDoubt() == [])
            try connection.close()
            try database.close()
        }
        #expect(FileManager.default.contents(atPath: path) == before)
    }

    @Test("impossible block sizes are refused", arguments: [0, -4096, 1000, 4097, (1 << 30) + 4096])
    func blockSizes(_ size: Int) {
        var configuration = Database.Configuration.small
        configuration.blockSize = size
        #expect(throws: StorageError.self) { try Database(path, create: true, configuration: configuration) }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
