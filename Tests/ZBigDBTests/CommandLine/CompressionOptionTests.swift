import Foundation
import Testing

@Suite("Compression on the command line") struct CompressionOptionTests {
    private struct Facts: Decodable {
        let compression: String
        let storedBytes: Int?
    }

    @Test("a database's compression is that of its arrays, unless import says otherwise")
    func options() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(100000) * 0.5)")
        #expect(try tool("create", "z.db", "--compression", "zstd").text.contains("zstd:3"))
        #expect(try tool("create", "n.db").exitCode == 0)
        let imports: [(String, String, [String], String)] = [
            ("z.db", "own", [], "zstd:3"), ("z.db", "none", ["--compression", "none"], "none"),
            ("n.db", "own", [], "none"), ("n.db", "zstd", ["--compression", "zstd:5"], "zstd:5"),
        ]
        for (database, name, options, compression) in imports {
            #expect(try tool.run(["import", database, name, "a.npy"] + options).exitCode == 0)
            let facts = try tool("info", database, name, "--json").decoded(as: Facts.self)
            #expect(facts.compression == compression)
            let isSmaller = try #require(facts.storedBytes) < 800_000
            #expect(isSmaller == (compression != "none"))
            #expect(try tool("info", database, name).text.contains(compression))
            #expect(try tool("ls", database).text.contains(compression))
            #expect(try tool("export", database, name, "\(name).npy").exitCode == 0)
            #expect(try tool.contents("\(name).npy") == tool.contents("a.npy"))
            #expect(try tool("verify", database).exitCode == 0)
        }
        #expect(try tool("info", "z.db", "--json").decoded(as: Facts.self).compression == "zstd:3")
        for wrong in ["lz4", "zstd:", "zstd:0", "zstd:20"] {
            #expect(try tool("create", "w.db", "--compression", wrong).exitCode == 64)
            #expect(try tool("import", "n.db", "w", "a.npy", "--compression", wrong).exitCode == 64)
        }
    }
}
