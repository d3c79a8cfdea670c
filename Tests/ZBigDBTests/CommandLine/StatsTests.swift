import Foundation
import Testing

@Suite struct StatsTests {
    private struct Answer: Decodable {
        let name: String
        let count: Int
        let min: Double?
        let max: Double?
        let mean: Double?
        let std: Double?
        let sum: Double?
        /// The scale of rounding errors of the sum.
        let scale: Double
    }

    private static let script = """
        rng = np.random.default_rng(int(cases["seed"]))
        arrays = {}
        for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
            info = np.iinfo(kind)
            arrays[kind] = rng.integers(info.min, info.max, 70001, kind, endpoint=True)
        for kind in ["f2", "f4", "f8"]:
            arrays[kind] = (rng.normal(size=(300, 301)) * 100 + 50).astype(kind)
        arrays["fortran"] = np.asfortranarray(arrays["f8"])
        arrays["offset"] = 1e9 + rng.normal(size=100000)
        arrays["large"] = rng.normal(size=1000) * 1e150
        arrays["bool"] = rng.random(50000) < 0.3
        arrays["nan"] = np.array([1.0] * 5000 + [np.nan] + [2.0])
        arrays["inf"] = np.array([1.0] * 5000 + [np.inf] + [2.0])
        arrays["both"] = np.array([-np.inf] + [1.0] * 5000 + [np.inf])
        arrays["one"] = np.array(2.5)
        arrays["zeros"] = np.zeros((64, 4096))
        record = np.zeros(9000, [("s", "S3"), ("x", "f8", 3)])
        record["x"] = rng.normal(size=(9000, 3))
        arrays["record"] = record
        np.seterr(all="ignore")
        for name, a in arrays.items():
            np.save(f"{cases['folder']}/{name}.npy", a)
            a = a["x"] if name == "record" else a
            f = a.astype("f8") if a.dtype.kind == "f" else a
            exact = a.dtype.kind in "iub"
            number = lambda x: float(x) if np.isfinite(float(x)) else None
            answers.append({
                "name": name, "count": a.size, "min": number(a.min()), "max": number(a.max()),
                "mean": number(f.mean()), "std": number(f.std()),
                "sum": number(sum(map(int, a.ravel())) if exact else f.sum()),
                "scale": float(np.abs(f.astype("f8")[np.isfinite(f)]).sum())})
        """

    @Test("stats agrees with NumPy for every type of numbers")
    func agree() throws {
        let tool = try ToolRunner()
        let random = ArrayRandom("StatsTests.agree")
        let answers = try numpy(
            Self.script, cases: ["folder": tool.folder.path, "seed": "\(random.seed)"], as: [Answer].self)
        #expect(try tool("create", "a.db", "--block-size", "64KiB").exitCode == 0)
        for answer in answers {
            let imported = try tool("import", "a.db", answer.name, "\(answer.name).npy")
            #expect(imported.exitCode == 0, "\(imported.errors)")
            let field = answer.name == "record" ? ["--field", "x"] : []
            let result = try tool.run(["stats", "a.db", answer.name, "--json"] + field)
            #expect(result.exitCode == 0, "\(answer.name): \(result.errors)")
            let found = try JSONDecoder().decode([String: Number].self, from: result.output)
            #expect(found["count"]?.value == Double(answer.count), "\(answer.name)")
            #expect(found["min"]?.value == answer.min, "\(answer.name)")
            #expect(found["max"]?.value == answer.max, "\(answer.name)")
            let mean = answer.scale / Double(answer.count)
            expectClose(found["mean"]?.value, answer.mean, scale: mean, "\(answer.name) mean")
            expectClose(found["std"]?.value, answer.std, scale: 0, "\(answer.name) std")
            expectClose(found["sum"]?.value, answer.sum, scale: answer.scale, "\(answer.name) sum")
        }
        #expect(try tool("stats", "a.db", "nan", "--json").text.contains("\"mean\": \"NaN\""))
        #expect(try tool("stats", "a.db", "inf", "--json").text.contains("\"max\": \"Infinity\""))
        let refused = try tool("stats", "a.db", "record")
        #expect(refused.exitCode == 1 && refused.errors.contains("--field"))
    }

    /// Equal to 1e-12, or both not finite.
    private func expectClose(_ found: Double?, _ expected: Double?, scale: Double, _ what: Comment) {
        guard let found, let expected else {
            #expect(found == nil && expected == nil, what)
            return
        }
        // For the sum of numbers of both signs the error is relative to what was added up.
        #expect(
            abs(found - expected) <= 1e-12 * max(abs(expected), scale), "\(what): \(found), not \(expected)")
    }

    /// A number, or one of the strings for what is not finite.
    private struct Number: Decodable {
        let value: Double?

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let truth = try? container.decode(Bool.self) {
                value = truth ? 1 : 0
            } else {
                value = try? container.decode(Double.self)
            }
        }
    }
}
