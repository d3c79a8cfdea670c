import Foundation
import Testing

@Suite struct ToolTests {
    @Test("Commands that are not understood end with 64")
    func usage() throws {
        let tool = try ToolRunner()
        for arguments in [
            ["nonsense"], ["get"], ["get", "a.db"], ["create"], ["create", "a.db", "more"],
            ["create", "a.db", "--block-size", "many"], ["log", "a.db", "--limit", "0"],
            ["get", "a.db", "a", "0", "--unknown"], ["set", "a.db", "a", "0"],
        ] {
            let result = try tool.run(arguments)
            #expect(result.exitCode == 64, "\(arguments)")
            #expect(result.errors.contains("Usage"), "\(arguments)")
            #expect(result.output.isEmpty, "\(arguments)")
        }
        #expect(try tool("--help").exitCode == 0)
        #expect(try tool("get", "--help").text.contains("<slice>"))
        #expect(try !tool("--help").text.contains("demo-observer"))
    }

    @Test("A database that is missing, garbage or a folder is refused by every command")
    func noDatabase() throws {
        let tool = try ToolRunner()
        try Data((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            .write(to: URL(fileURLWithPath: tool.file("garbage.db")))
        try Data().write(to: URL(fileURLWithPath: tool.file("empty.db")))
        try tool.numPy("np.save(folder + '/a.npy', np.arange(3))")
        for database in ["missing.db", "garbage.db", "empty.db", "."] {
            for arguments in [
                ["ls", database], ["info", database], ["info", database, "a"], ["get", database, "a"],
                ["set", database, "a", "0", "1"], ["stats", database, "a"], ["log", database],
                ["verify", database], ["import", database, "a", "a.npy"], ["export", database, "a", "b.npy"],
            ] {
                let result = try tool.run(arguments)
                #expect(result.exitCode == 1, "\(arguments)")
                #expect(result.errors.hasPrefix("Error: \(database)"), "\(arguments): \(result.errors)")
                #expect(result.output.isEmpty, "\(arguments)")
            }
        }
        #expect(!FileManager.default.fileExists(atPath: tool.file("b.npy")))
        #expect(!FileManager.default.fileExists(atPath: tool.file("missing.db")))
    }

    @Test("create makes a database, and never touches an existing file")
    func create() throws {
        let tool = try ToolRunner()
        struct Created: Decodable {
            let blockSize: Int
            let path: String
        }
        let created = try tool("create", "a.db", "--block-size", "64KiB", "--json")
        #expect(try created.decoded(as: Created.self).blockSize == 65536)
        let before = try tool.contents("a.db")
        let again = try tool("create", "a.db")
        #expect(again.exitCode == 1 && again.errors.contains("exists"))
        #expect(try tool.contents("a.db") == before)
        #expect(try tool("create", "nowhere/a.db").exitCode == 1)
        #expect(try tool("create", "b.db", "--block-size", "100").exitCode == 1)
        #expect(!FileManager.default.fileExists(atPath: tool.file("b.db")))
        #expect(try tool("ls", "a.db").text == "No names yet.\n")
        #expect(try tool("ls", "a.db", "--json").text == "[]\n")
    }

    @Test("Names and slices that are not there are refused")
    func unknown() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(3))")
        #expect(try tool("create", "a.db").exitCode == 0)
        #expect(try tool("import", "a.db", "a", "a.npy").exitCode == 0)
        for arguments in [
            ["get", "a.db", "b"], ["info", "a.db", "b"], ["stats", "a.db", "b"],
            ["set", "a.db", "b", "0", "1"],
            ["export", "a.db", "b", "b.npy"], ["get", "a.db", "a", "3"], ["get", "a.db", "a", "0, 0"],
            ["get", "a.db", "a", "[0]"], ["get", "a.db", "a", "::0"], ["get", "a.db", "a", "1.5"],
            ["get", "a.db", "a", "-4"],
        ] {
            let result = try tool.run(arguments)
            #expect(result.exitCode == 1, "\(arguments)")
            #expect(result.errors.hasPrefix("Error: "), "\(arguments): \(result.errors)")
            #expect(result.output.isEmpty, "\(arguments)")
        }
        #expect(try tool("get", "a.db", "a", "-1").text == "2\n")
        #expect(try tool("get", "a.db", "a", "-2:").text == "[1 2]\n")
        #expect(try tool("get", "a.db", "a", "--", "-1").text == "2\n")
    }

    @Test("info tells about a database and an array")
    func info() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.zeros((1000, 100), order='F'))")
        #expect(try tool("create", "a.db", "--block-size", "64KiB").exitCode == 0)
        #expect(try tool("import", "a.db", "const", "a.npy").exitCode == 0)
        #expect(try tool("set", "a.db", "const", "0, 0", "1").exitCode == 0)
        struct Information: Decodable {
            let blockSize, fileBytes, formatVersion, names, records, blocks, transactions: Int
            let lastTID, path, lastDate: String
            let mapsBlocks: Bool
        }
        let information = try tool("info", "a.db", "--json").decoded(as: Information.self)
        #expect(information.blockSize == 65536 && information.names == 1 && information.transactions == 3)
        struct ArrayInformation: Decodable {
            let bytes, count, blockSize, storedBlocks, storedBytes: Int
            let dtype, name, order: String
            let shape, strides: [Int]
        }
        let array = try tool("info", "a.db", "const", "--json").decoded(as: ArrayInformation.self)
        #expect(array.bytes == 800_000 && array.count == 100_000 && array.order == "F")
        #expect(array.shape == [1000, 100] && array.strides == [8, 8000] && array.dtype == "<f8")
        #expect(array.storedBlocks == 1)
        let text = try tool("info", "a.db", "const").text
        #expect(text.contains("781.2 KiB") && text.contains("Fortran"))
    }
}
