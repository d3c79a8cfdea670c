import Foundation
import Testing

@Suite struct ImportExportTests {
    /// Makes random arrays: source files in many forms, and what NumPy writes for them once they are
    /// little endian.
    private static let generator = """
        rng = np.random.default_rng(int(cases["seed"]))
        scalars = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "?", "S5", "U4", "V3"]
        records = [
            np.dtype([("name", "S6"), ("value", "f8")]),
            np.dtype([("a", "i1"), ("b", "f8"), ("c", "?", (2, 3))], align=True),
            np.dtype([("x", ">i4"), ("y", "<i4"), ("z", [("p", ">f4"), ("q", "U2")], (2,))]),
            np.dtype([("größe", "f4"), ("日", ">u2")]),
        ]
        def clean(dtype, raw):
            a = np.frombuffer(raw, dtype).copy()
            def fix(part, d):
                if d.subdtype is not None:
                    d = d.subdtype[0]
                if d.names:
                    for name in d.names:
                        fix(part[name], d[name])
                elif d.kind == "b":
                    part.view("u1")[...] = part.view("u1") & 1
                elif d.kind == "U":
                    part[...] = "aé日"[:d.itemsize // 4]
            fix(a, dtype)
            clean = np.zeros(a.shape, dtype)
            for part in dtype.names or [...]:
                clean[part] = a[part]
            return clean
        for number in range(cases["count"]):
            dtype = np.dtype(scalars[number % 15]) if number % 3 else records[number // 3 % 4]
            if rng.random() < 0.4:
                dtype = dtype.newbyteorder(">")
            rank = int(rng.integers(0, 4))
            shape = tuple(int(n) for n in rng.integers(1, 40, rank))
            if rank and rng.random() < 0.15:
                shape = shape[:-1] + (0,)
            size = int(np.prod(shape, dtype=int))
            a = clean(dtype, rng.bytes(size * dtype.itemsize))
            a = a.reshape(shape, order="F" if rng.random() < 0.4 else "C")
            version = [None, (1, 0), (2, 0), (3, 0)][number % 4]
            if version == (1, 0) and dtype.names and not all(n.isascii() for n in dtype.names):
                version = None
            import warnings
            warnings.simplefilter("ignore")
            with open(f"{cases['folder']}/{number}.npy", "wb") as f:
                np.lib.format.write_array(f, a, version=version)
            # Field by field: copies would leave anything between the fields.
            order = "F" if a.flags.f_contiguous and not a.flags.c_contiguous else "C"
            little = np.zeros(a.shape, dtype.newbyteorder("<"), order)
            for part in dtype.names or [...]:
                little[part] = a[part]
            np.save(f"{cases['folder']}/{number}.expected.npy", little)
            answers.append([dtype.newbyteorder("<").str, list(shape)])
        """

    private struct Cases: Encodable {
        let seed: String
        let count: Int
        let folder: String
    }

    private struct Facts: Decodable {
        let shape: [Int]
        let bytes: Int
        let order: String
        let tid: String
    }

    @Test("F32 .npy files of all kinds come back byte for byte as NumPy writes them")
    func roundTrip() throws {
        let tool = try ToolRunner()
        let random = ArrayRandom("ImportExportTests.roundTrip")
        let count = 60
        _ = try numpy(
            Self.generator,
            cases: Cases(seed: "\(random.seed)", count: count, folder: tool.folder.path),
            as: [Answer].self)
        #expect(try tool("create", "a.db", "--block-size", "4KiB").exitCode == 0)
        for number in 0..<count {
            let comment = Comment(rawValue: "array \(number), ZBIGDB_TEST_SEED=\(random.seed)")
            let result = try tool("import", "a.db", "array \(number)", "\(number).npy", "--json")
            try #require(result.exitCode == 0, "\(comment): \(result.errors)")
            _ = try result.decoded(as: Facts.self)
            let exported = try tool("export", "a.db", "array \(number)", "out.npy")
            #expect(exported.exitCode == 0, "\(comment): \(exported.errors)")
            #expect(try tool.contents("out.npy") == tool.contents("\(number).expected.npy"), comment)
        }
        let names = try tool("ls", "a.db", "--json").decoded(as: [Name].self).map(\.name)
        #expect(names == (0..<count).map { "array \($0)" }.sorted())
        let verify = try tool("verify", "a.db")
        #expect(verify.exitCode == 0, "\(verify.text)")
    }

    private struct Name: Decodable { let name: String }

    private struct Answer: Decodable {
        init(from decoder: any Decoder) throws { _ = try decoder.singleValueContainer() }
    }

    @Test("Standard input and output take the place of files")
    func pipes() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(70000).reshape(7, 10000).T)")
        #expect(try tool("create", "a.db", "--block-size", "64KiB").exitCode == 0)
        #expect(try tool("import", "a.db", "a", "-", input: tool.file("a.npy")).exitCode == 0)
        let exported = try tool("export", "a.db", "a", "-")
        #expect(exported.exitCode == 0)
        #expect(try exported.output == tool.contents("a.npy"))
    }

    @Test("A name that is taken is refused, or replaced if asked for")
    func replace() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(3)); np.save(folder + '/b.npy', np.eye(2))")
        #expect(try tool("create", "a.db").exitCode == 0)
        #expect(try tool("import", "a.db", "a", "a.npy").exitCode == 0)
        let refused = try tool("import", "a.db", "a", "b.npy")
        #expect(refused.exitCode == 1)
        #expect(refused.errors.contains("--replace"))
        #expect(try tool("get", "a.db", "a").text == "[0 1 2]\n")
        #expect(try tool("import", "a.db", "a", "b.npy", "--replace").exitCode == 0)
        #expect(try tool("get", "a.db", "a").text == "[[1. 0.]\n [0. 1.]]\n")
    }

    @Test("A file that is no whole .npy file leaves nothing behind")
    func refused() throws {
        let tool = try ToolRunner()
        try tool.numPy(
            """
            np.save(folder + '/a.npy', np.arange(100000))
            data = open(folder + '/a.npy', 'rb').read()
            for length in [0, 5, 10, 12, 100, 128, 129, 500000, len(data) - 1]:
                open(f'{folder}/cut{length}.npy', 'wb').write(data[:length])
            np.save(folder + '/bool.npy', np.array([0, 1, 2], 'u1'))
            text = open(folder + '/bool.npy', 'rb').read().replace(b'|u1', b'|b1')
            open(folder + '/bool.npy', 'wb').write(text)
            record = np.zeros(5, [('a', 'i4'), ('b', 'u1', 3)])
            record['b'][3, 1] = 7
            np.save(folder + '/record.npy', record)
            text = open(folder + '/record.npy', 'rb').read().replace(b'|u1', b'|b1')
            open(folder + '/record.npy', 'wb').write(text)
            np.save(folder + '/object.npy', np.array([None, 'a']), allow_pickle=True)
            open(folder + '/garbage.npy', 'wb').write(bytes(range(256)) * 10)
            """)
        #expect(try tool("create", "a.db", "--block-size", "64KiB").exitCode == 0)
        let before = try tool("log", "a.db", "--json").text
        for length in [0, 5, 10, 12, 100, 128, 129, 500_000, 800_127] {
            let result = try tool("import", "a.db", "a", "cut\(length).npy")
            #expect(result.exitCode == 1, "\(length) bytes")
            #expect(result.errors.contains(length < 6 ? "npy" : "ends too early"), "\(result.errors)")
            // From a pipe the length is not known before the end.
            #expect(try tool("import", "a.db", "a", "-", input: tool.file("cut\(length).npy")).exitCode == 1)
        }
        let bool = try tool("import", "a.db", "a", "bool.npy")
        #expect(bool.exitCode == 1 && bool.errors.contains("item 2"), "\(bool.errors)")
        let record = try tool("import", "a.db", "a", "record.npy")
        #expect(record.exitCode == 1 && record.errors.contains("item 3"), "\(record.errors)")
        for name in ["object.npy", "garbage.npy", "missing.npy", "."] {
            #expect(try tool("import", "a.db", "a", name).exitCode == 1, "\(name)")
        }
        #expect(try tool("ls", "a.db", "--json").text == "[]\n")
        #expect(try tool("log", "a.db", "--json").text == before)
        #expect(try tool("verify", "a.db").exitCode == 0)
    }

    @Test("An export that fails leaves the old file as it was, and no part of a new one")
    func failedExport() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(3))")
        #expect(try tool("create", "a.db").exitCode == 0)
        #expect(try tool("import", "a.db", "a", "a.npy").exitCode == 0)
        #expect(try tool("export", "a.db", "b", "a.npy").exitCode == 1)
        #expect(try tool("export", "a.db", "a", "nowhere/a.npy").exitCode == 1)
        #expect(try tool("export", "a.db", "a", ".").exitCode == 1)
        #if os(Linux)
            let full = try tool("export", "a.db", "a", "/dev/full")
            #expect(full.exitCode == 1 && full.errors.contains("No space"), "\(full.errors)")
        #endif
        let names = try FileManager.default.contentsOfDirectory(atPath: tool.folder.path).sorted()
        #expect(names == ["a.db", "a.db-lock", "a.npy"])
    }

    @Test("Ctrl-C during an import leaves nothing behind")
    func interrupted() throws {
        let tool = try ToolRunner()
        try tool.numPy("np.save(folder + '/a.npy', np.arange(100000))")
        #expect(try tool("create", "a.db", "--block-size", "64KiB").exitCode == 0)
        let process = tool.process(["import", "a.db", "a", "-"])
        let (input, errors) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        // Half of the file: the import waits for the rest.
        try input.fileHandleForWriting.write(contentsOf: try tool.contents("a.npy").prefix(60_000))
        Thread.sleep(forTimeInterval: 0.5)
        process.interrupt()
        process.waitUntilExit()
        try input.fileHandleForWriting.close()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        #expect(try tool("ls", "a.db", "--json").text == "[]\n")
        #expect(try tool("verify", "a.db").exitCode == 0)
    }
}
