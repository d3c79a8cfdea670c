import Foundation
import Testing
import ZBigDB

@Suite struct GetSetTests {
    /// Arrays of many kinds, as a Python dictionary.
    private static let arrays = """
        rng = np.random.default_rng(7)
        arrays = {
            "int": np.arange(-60, 60).reshape(4, 5, 6),
            "large": np.array([2**64 - 1, 2**63, 0], "u8"),
            "float": np.round(rng.normal(size=(5, 7)) * 100, 3),
            "long": rng.normal(size=(30, 40)) * 1e3,
            "wide": 10.0 ** np.arange(-6, 10).reshape(2, 8),
            "single": rng.normal(size=(3, 30)).astype("f4"),
            "half": np.linspace(-1, 1, 33).astype("f2"),
            "special": np.array([[np.nan, np.inf, -np.inf, 1.5], [0, -0.0, 1e-3, 2]]),
            "infinite": np.array([-np.inf, np.nan]),
            "bool": np.arange(60).reshape(6, 10) % 3 == 0,
            "bytes": np.array([[b"ab", b"it's \\"x\\""], [b"", b"\\x00a\\xff\\n"]]),
            "text": np.array(["aé", "日本", "it's", "", "\\\\ \\t\\u00a0"]),
            "raw": np.arange(12, dtype="u1").view("V4"),
            "record": np.array([(b"AU", 1.5, [1, 2]), (b"c", 299792.458, [3, 4])] * 4,
                               [("name", "S6"), ("value", "f8"), ("pair", "i2", 2)]),
            "nested": np.array([(1, (True, [[0.5, 1e10], [1, 2]]))] * 3,
                               [("n", "i4"), ("in", [("b", "?"), ("m", "f8", (2, 2))])]),
            "big": np.arange(1200).reshape(12, 10, 10),
            "cube": np.arange(7 * 8 * 3 * 7).reshape(7, 8, 3, 7) / 7,
            "scalar": np.array(0.1),
            "empty": np.zeros((3, 0, 2)),
        }
        arrays["fortran"] = np.asfortranarray(arrays["int"])
        def plain(x):
            if isinstance(x, np.ndarray):
                return [plain(i) for i in x] if x.ndim else plain(x[()])
            if isinstance(x, np.void):
                return {n: plain(x[n]) for n in x.dtype.names} if x.dtype.names else x.tobytes().hex()
            if isinstance(x, bytes):
                return x.decode("latin-1")
            if isinstance(x, np.floating) and np.isfinite(x):
                return float(str(x))
            x = x.item() if isinstance(x, np.generic) and not isinstance(x, np.bytes_) else x
            if isinstance(x, float) and (x != x or x in (np.inf, -np.inf)):
                return "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"
            return x
        """

    private struct Case: Codable {
        let name: String
        let slice: String
    }

    private struct Question: Encodable {
        let folder: String
        let cases: [Case]
    }

    private struct Answer: Decodable {
        /// Nil if NumPy refuses the slice.
        let text: String?
        let json: String

        func value() throws -> JSONValue {
            try JSONDecoder().decode(JSONValue.self, from: Data(json.utf8))
        }
    }

    /// Any JSON value, to be compared.
    private indirect enum JSONValue: Decodable, Equatable {
        case bool(Bool), number(Double), text(String), list([JSONValue]), object([String: JSONValue])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else if let value = try? container.decode(String.self) {
                self = .text(value)
            } else if let value = try? container.decode([JSONValue].self) {
                self = .list(value)
            } else {
                self = .object(try container.decode([String: JSONValue].self))
            }
        }
    }

    private func imported() throws -> ToolRunner {
        let tool = try ToolRunner()
        let names = try tool.numPy(
            Self.arrays
                + "\nfor name, a in arrays.items(): np.save(f'{folder}/{name}.npy', a)\nprint(*arrays)\n")
        #expect(try tool("create", "a.db", "--block-size", "16KiB").exitCode == 0)
        for name in names.split(whereSeparator: \.isWhitespace).map(String.init) {
            let result = try tool("import", "a.db", name, "\(name).npy")
            try #require(result.exitCode == 0, "\(name): \(result.errors)")
        }
        return tool
    }

    @Test("F17 get prints what NumPy prints, and the same items as JSON")
    func get() throws {
        let tool = try imported()
        var random = ArrayRandom("GetSetTests.get")
        struct Facts: Decodable {
            let name: String
            let shape: [Int]
        }
        var cases: [Case] = []
        for array in try tool("ls", "a.db", "--json").decoded(as: [Facts].self) {
            cases.append(Case(name: array.name, slice: "..."))
            for index in 0..<3 {
                let slice = random.slice(for: array.shape, wrong: true)
                let text = index == 0 ? random.sloppyText(slice) : slice.description
                cases.append(Case(name: array.name, slice: text.isEmpty ? "..." : text))
            }
        }
        cases += ["-1", "-2:", "-1, -1, -1", ":, -1, ::-2"].map { Case(name: "int", slice: $0) }
        let answers = try numpy(
            Self.arrays
                + """

                for case in cases["cases"]:
                    try:
                        part = eval("arrays[case['name']][" + case["slice"] + "]", {
                            "arrays": arrays, "case": case, "newaxis": None})
                    except (IndexError, ValueError):
                        answers.append({"json": "null"})
                        continue
                    if isinstance(part, np.ndarray) and part.ndim == 0:
                        part = part[()]
                    answers.append({"text": str(part), "json": json.dumps(plain(part), sort_keys=True)})
                """, cases: Question(folder: tool.folder.path, cases: cases), as: [Answer].self)
        for (item, answer) in zip(cases, answers) {
            let comment = Comment(rawValue: "\(item.name)[\(item.slice)], ZBIGDB_TEST_SEED=\(random.seed)")
            let printed = try tool("get", "a.db", item.name, item.slice)
            guard let text = answer.text else {
                #expect(printed.exitCode == 1 && printed.output.isEmpty, comment)
                continue
            }
            #expect(printed.exitCode == 0, "\(comment): \(printed.errors)")
            #expect(printed.text == text + "\n", comment)
            let listed = try tool("get", "a.db", item.name, item.slice, "--json")
            #expect(try listed.decoded(as: JSONValue.self) == answer.value(), comment)
        }
    }

    @Test("Integers of 64 bits keep every digit in JSON")
    func exactIntegers() throws {
        let tool = try imported()
        #expect(
            try tool("get", "a.db", "large", "--json").text
                == "[18446744073709551615, 9223372036854775808, 0]\n")
    }

    @Test("A field is an array of its own")
    func fields() throws {
        let tool = try imported()
        #expect(try tool("get", "a.db", "record", ":2", "--field", "name").text == "[b'AU' b'c']\n")
        #expect(try tool("get", "a.db", "record", "0", "--field", "pair", "--json").text == "[1, 2]\n")
        let missing = try tool("get", "a.db", "record", "--field", "nothing")
        #expect(missing.exitCode == 1 && missing.errors.contains("name, value, pair"))
    }

    @Test("set stores values as NumPy's assignment does")
    func set() throws {
        let tool = try imported()
        let changes = [
            ("int", "0, 0, 0", "-5", "-5"), ("int", "-1", "7", "7"),
            ("int", "1, :, ::2", "[1, 2, 3]", "[1, 2, 3]"),
            ("int", "2", "[[1], [2], [3], [4], [5]]", "[[1], [2], [3], [4], [5]]"),
            ("int", "0, 1, :2", "[[8, 9]]", "np.array([[8, 9]])"),
            ("large", "2", "18446744073709551614", "2**64 - 2"),
            ("float", "-1, -1", "-1.5e-3", "-1.5e-3"), ("float", "0", "nan", "np.nan"),
            ("float", "1, 0", "-inf", "-np.inf"), ("special", "0, 0", "1e3", "1e3"),
            ("bool", "1:3", "true", "True"),
            ("bool", "0, :3", "[false, true, false]", "[False, True, False]"),
            ("bytes", "0, 0", "xyz", "b'xyz'"), ("bytes", "1", "[\"a\", \"b\"]", "[b'a', b'b']"),
            ("text", "0", "日", "'日'"), ("raw", "1", "00ff10A0", "np.void(b'\\x00\\xff\\x10\\xa0')"),
            (
                "record", "1", "{\"name\": \"new\", \"value\": 2, \"pair\": [5, 6]}",
                "(b'new', 2, [5, 6])"
            ), ("scalar", "...", "3", "3"), ("fortran", ":, 0", "[1, 2, 3, 4, 5, 6]", "[1, 2, 3, 4, 5, 6]"),
            ("empty", "...", "1", "1"),
        ]
        var script = Self.arrays
        for (name, slice, value, python) in changes {
            let result = try tool("set", "a.db", name, slice, value, "-m", "set \(name)")
            #expect(result.exitCode == 0, "\(name)[\(slice)] = \(value): \(result.errors)")
            script += "\narrays['\(name)'][\(slice)] = \(python)"
        }
        script += "\nfor name, a in arrays.items(): np.save(f'{folder}/{name}.npy', a)"
        try tool.numPy(script)
        for name in Swift.Set(changes.map(\.0)) {
            #expect(try tool("export", "a.db", name, "out.npy").exitCode == 0)
            #expect(try tool.contents("out.npy") == tool.contents("\(name).npy"), "\(name)")
        }
        #expect(try tool("set", "a.db", "record", "0", "7.5", "--field", "value").exitCode == 0)
        #expect(try tool("get", "a.db", "record", "0").text == "(b'AU', 7.5, [1, 2])\n")
        #expect(try tool("verify", "a.db").exitCode == 0)
    }

    @Test("set prints the transaction's number, and its note is in the log")
    func note() throws {
        let tool = try imported()
        let tid = try tool("set", "a.db", "int", "0", "1", "-m", "-1 is gone").text
        struct Entry: Decodable {
            let tid: String
            let note: String
            let user: String
            let date: String
            let blocks: Int
        }
        let log = try tool("log", "a.db", "--json", "--limit", "2").decoded(as: [Entry].self)
        #expect(log.count == 2)
        #expect(log[0].tid + "\n" == tid)
        #expect(log[0].note == "-1 is gone")
        #expect(!log[0].user.isEmpty && log[0].date.hasSuffix("Z") && log[0].blocks == 1)
        #expect(log[1].note.hasPrefix("import "))
        #expect(log[0].tid > log[1].tid)
    }

    @Test("Values that do not fit are refused, with nothing changed")
    func refused() throws {
        let tool = try imported()
        let before = try tool("log", "a.db", "--json").text
        let cases = [
            ("int", "0", "1.5"), ("int", "0", "true"), ("int", "0", "9223372036854775808"), ("int", "0", "x"),
            ("int", "0", "nan"), ("int", "0", "[1, 2]"), ("int", "0", "[[1], [2, 3]]"), ("int", "0", "[1"),
            ("int", "9", "1"), ("int", "0, 0, 0, 0", "1"), ("int", "x", "1"), ("large", "0", "-1"),
            ("half", "0", "70000"), ("single", "0", "1e39"), ("single", "0", "\"text\""), ("bool", "0", "1"),
            ("bytes", "0", "日"), ("bytes", "0", "much too long a text"), ("text", "0", "longer than it"),
            ("raw", "0", "00"), ("raw", "0", "zzzzzzzz"), ("record", "0", "5"),
            ("record", "0", "{\"name\": \"a\"}"),
            ("record", "0", "{\"name\": \"a\", \"value\": 1, \"pair\": 1, \"more\": 2}"),
        ]
        for (name, slice, value) in cases {
            let result = try tool("set", "a.db", name, slice, value)
            #expect(result.exitCode == 1, "\(name)[\(slice)] = \(value)")
            #expect(
                result.errors.hasPrefix("Error: ") && !result.errors.contains("Usage"), "\(result.errors)")
        }
        #expect(try tool("log", "a.db", "--json").text == before)
    }
}
