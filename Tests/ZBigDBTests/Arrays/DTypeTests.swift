import Foundation
import Testing
import ZBigDB

@Suite("Element types")
struct DTypeTests {
    private static let simple = [
        "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", "|b1", "|S6", "<U3",
        "|V5",
        "|S0", "<U0", "|V0",
    ]

    // MARK: Text

    @Test("Type strings are read and written back", arguments: simple)
    func typeStrings(text: String) throws {
        let dtype = try DType(descr: text)
        #expect(dtype.description == text)
        #expect(try DType(descr: "'\(text)'") == dtype)
        #expect(try DType(descr: ">" + text.dropFirst()) == dtype)
        #expect(try DType(descr: "=" + text.dropFirst()) == dtype)
        #expect(try DType(descr: String(text.dropFirst())) == dtype)
    }

    @Test("Names and old spellings")
    func names() throws {
        #expect(try DType(descr: "float64") == .float64)
        #expect(try DType(descr: "uint16") == .uint16)
        #expect(try DType(descr: "bool") == .bool)
        #expect(try DType(descr: "?") == .bool)
        #expect(try DType(descr: "a7") == .bytes(7))
        #expect(try DType(descr: "[(u'a', \"<i4\", 3,), ]").fields[0].shape == [3])
    }

    @Test("F4 types that hold object references are refused")
    func objects() {
        for text in [
            "O", "|O", "|O8", "object", "[('a', '<i4'), ('b', '|O')]", "[('a', [('b', 'O')], (2,))]",
        ] {
            #expect(throws: ArrayError.objectDType, "\(text)") { try DType(descr: text) }
        }
        #expect(ArrayError.objectDType.description.hasPrefix("arrays of object references cannot be stored"))
    }

    @Test("Types of NumPy that cannot be stored are named")
    func unsupported() {
        let cases = [
            ("<c8", "complex64"), ("<c16", "complex128"), (">c16", "complex128"), ("<f16", "float128"),
            ("<M8[ns]", "datetime64[ns]"), ("<m8[us]", "timedelta64[us]"), ("M8", "datetime64"),
            ("[('t', '<M8[D]')]", "datetime64[D]"),
        ]
        for (text, name) in cases {
            #expect(throws: ArrayError.unsupportedDType(name), "\(text)") { try DType(descr: text) }
        }
    }

    @Test(
        "Text that is no type is refused",
        arguments: [
            "", "<", "i3", "<i8 ", "S-1", "S1x", "S99999999999999999999", "U9223372036854775807",
            "i4,f8",
            "<<i4", "mystring", "[", "[('a',)]", "[('a', 'i4', 'x')]", "[('a', 'i4', (1, 'x'))]",
            "[(1, 'i4')]",
            "['i4']", "('i4', (2,))", "{'a': 1}", "[('a', 'i4'), ('a', 'i4')]", "[('a', 'i4', (-1,))]",
            "[('a', 'V4', (9223372036854775807,))]", "[('a', 'S9223372036854775807'), ('b', 'i1')]",
            "[('a' 'i4')]",
            "[(('t', 'n', 'x'), 'i4')]", "[('a', 'i4')] x", "[(b'a', 'i4')]", "[('\\ud800', 'i4')]", "None",
        ])
    func refused(text: String) {
        #expect(throws: ArrayError.self) { try DType(descr: text) }
    }

    @Test("Deep nesting is an error, not a crash")
    func deepNesting() throws {
        for (open, close) in [("[", "]"), ("(", ")"), ("{1:", "}"), ("[('a',", ")]"), ("('<i4',", ")")] {
            let text =
                String(repeating: open, count: 100_000) + "'i4'" + String(repeating: close, count: 100_000)
            #expect(throws: ArrayError.self) { try DType(descr: "[('a', " + text + ")]") }
        }
        let nested = String(repeating: "[('a',", count: 40) + "'<i4'" + String(repeating: ")]", count: 40)
        #expect(try DType(descr: nested).itemSize == 4)
    }

    // MARK: Records

    @Test("F5 a record of int32 and float64 has 12 bytes")
    func record() throws {
        let dtype = try DType.packed(["a": .int32, "b": .float64])
        #expect(dtype.itemSize == 12)
        #expect(dtype.description == "[('a', '<i4'), ('b', '<f8')]")
        #expect(try dtype.field(named: "b").offset == 4)
        #expect(!dtype.isNumeric && DType.float16.isNumeric && DType.uint8.isNumeric && !DType.bool.isNumeric)
        #expect(try DType(descr: dtype.description) == dtype)
    }

    @Test("Records with impossible fields are refused")
    func impossibleRecords() {
        func record(_ fields: [DType.Field], _ size: Int) throws(ArrayError) -> DType {
            .record(try DType.Record(fields: fields, itemSize: size))
        }
        let first = DType.Field(name: "a", offset: 0, dtype: .int32)
        #expect(throws: ArrayError.self) { try record([first], 3) }
        #expect(throws: ArrayError.self) { try record([first, first], 8) }
        #expect(throws: ArrayError.self) {
            try record([first, .init(name: "b", offset: 3, dtype: .int8)], 8)
        }
        #expect(throws: ArrayError.self) { try record([.init(name: "a", offset: -1, dtype: .int8)], 8) }
        #expect(throws: ArrayError.self) { try record([.init(name: "a", offset: .max, dtype: .int8)], .max) }
        #expect(throws: ArrayError.self) { try record([.init(name: "", offset: 0, dtype: .raw(3))], 8) }
        #expect(throws: ArrayError.self) { try record([.init(name: "a", offset: 0, dtype: .bytes(-3))], 8) }
        #expect(throws: ArrayError.self) { try record([], -1) }
        #expect(throws: Never.self) { try record([], 0) }
    }

    @Test("Swift types know their element type")
    func elements() {
        func check<Element: ArrayElement>(_: Element.Type, _ text: String) {
            #expect(Element.dtype.description == text)
            #expect(Element.dtype.itemSize == MemoryLayout<Element>.size)
        }
        check(Int8.self, "|i1")
        check(Int16.self, "<i2")
        check(Int32.self, "<i4")
        check(Int64.self, "<i8")
        check(Int.self, "<i8")
        check(UInt8.self, "|u1")
        check(UInt16.self, "<u2")
        check(UInt32.self, "<u4")
        check(UInt64.self, "<u8")
        check(UInt.self, "<u8")
        check(Float16.self, "<f2")
        check(Float.self, "<f4")
        check(Double.self, "<f8")
        check(Bool.self, "|b1")
    }

    // MARK: Against NumPy

    private struct Answer: Codable {
        let descr: String
        let itemSize: Int
        let offsets: [Int]
        let foreign: String
        let native: String
    }

    /// Random NumPy text, with gaps, nesting, arrays in records and both byte orders.
    static func randomDescr(_ random: inout ArrayRandom, depth: Int = 2, mixed: Bool = true) -> String {
        if depth == 0 || random.chance(depth == 2 ? 10 : 60) {
            let text = (simple + simple.prefix(12)).randomElement(using: &random) ?? "<f8"
            return "'\(mixed && random.chance(50) ? ">" : text.prefix(1))\(text.dropFirst())'"
        }
        let names = ["a", "x y", "it's", "say \"hi\"", "both '\"", "tab\t", "\\", "é", "日本", "\u{AD}", "😀"]
        let shapes = ["", "", "", ", (2,)", ", (2, 3)", ", (1,)", ", (0, 2)", ", 3"]
        var fields: [String] = []
        let count = Int.random(in: 0...4, using: &random)
        for (number, name) in names.shuffled(using: &random).prefix(count).enumerated() {
            if random.chance(20) { fields.append("('', '|V\(number + 1)')") }
            let quoted = "'\(name.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
            let named = random.chance(10) ? "('title \(number)', \(quoted))" : quoted
            let dtype = randomDescr(&random, depth: depth - 1, mixed: mixed)
            var shape = shapes.randomElement(using: &random) ?? ""
            // NumPy takes ('S0', 3) for 'S3' and refuses ('S0', (2,)): no file has either.
            if dtype.hasSuffix("0'") { shape = "" }
            fields.append("(\(named), \(dtype)\(shape))")
        }
        return "[\(fields.joined(separator: ", "))]"
    }

    @Test("Records are read, placed, written and turned as NumPy does it")
    func recordsAgreeWithNumPy() throws {
        var random = ArrayRandom("DTypeTests.records")
        var texts = Self.simple.flatMap { ["'\($0)'", "'>\($0.dropFirst())'"] }
        for _ in 0..<300 { texts.append(Self.randomDescr(&random)) }
        let answers: [Answer] = try numpy(
            """
            import ast
            from numpy.lib import format
            rng = np.random.default_rng(0)
            def untitled(dt):
                if dt.subdtype:
                    return np.dtype((untitled(dt.subdtype[0]), dt.subdtype[1]))
                if dt.names is None:
                    return dt
                return np.dtype({
                    'names': list(dt.names), 'formats': [untitled(dt.fields[n][0]) for n in dt.names],
                    'offsets': [dt.fields[n][1] for n in dt.names], 'itemsize': dt.itemsize})
            for text in cases:
                foreign = untitled(format.descr_to_dtype(ast.literal_eval(text)))
                native = foreign.newbyteorder('<')
                # Bytes of the gaps stay as they are, so swap in place.
                a = np.frombuffer(rng.bytes(5 * foreign.itemsize) or b'', dtype='u1').copy()
                before = a.tobytes()
                if foreign.itemsize:
                    def turn(view, to):
                        if view.dtype.names is not None:
                            for n in view.dtype.names:
                                turn(view[n], to.fields[n][0].base)
                        elif view.dtype.byteorder == '>' and view.size:
                            view.byteswap(inplace=True)
                    turn(np.ndarray(5, foreign, a), native)
                answers.append({
                    'descr': repr(format.dtype_to_descr(native)) if native.names is not None else native.str,
                    'itemSize': native.itemsize,
                    'offsets': [native.fields[n][1] for n in native.names or ()],
                    'foreign': before.hex(), 'native': a.tobytes().hex()})
            """, cases: texts)
        for (text, answer) in zip(texts, answers) {
            let note: Comment = "seed \(random.seed): \(text)"
            let dtype = try DType(descr: text)
            #expect(dtype.description == answer.descr, note)
            #expect(dtype.itemSize == answer.itemSize, note)
            #expect(dtype.fields.map(\.offset) == answer.offsets, note)
            #expect(try DType(descr: dtype.description) == dtype, note)
            // The byte order of a file is part of its header.
            let shape = "'fortran_order': False, 'shape': (5,), }"
            let header = try NpyHeader(parsing: npyBytes("{'descr': \(text), \(shape)\n", version: 3))
            #expect(header.dtype == dtype, note)
            #expect(turned(answer.foreign, header.byteSwap) == answer.native, note)
        }
    }

    @Test("Aligned structures keep NumPy's gaps")
    func aligned() throws {
        struct Aligned: Codable {
            let descr: String
            let itemSize: Int
            let offsets: [Int]
        }
        let answers: [Aligned] = try numpy(
            """
            from itertools import permutations
            for parts in permutations(['i1', 'f8', '>i2', 'S3', '<f4', ('i2', (3,)), [('x', 'i1'), ('y', 'f8')]], 4):
                dt = np.dtype({'names': list('abcd'), 'formats': list(parts)}, align=True)
                answers.append({
                    'descr': repr(dt.descr), 'itemSize': dt.itemsize,
                    'offsets': [dt.fields[n][1] for n in dt.names]})
            """, cases: [Int]())
        #expect(answers.count == 840)
        for answer in answers {
            let dtype = try DType(descr: answer.descr)
            #expect(dtype.itemSize == answer.itemSize, "\(answer.descr)")
            #expect(dtype.fields.map(\.offset) == answer.offsets, "\(answer.descr)")
            #expect(dtype.description == answer.descr.replacing(">", with: "<"))
        }
    }

    @Test("A swap needs no alignment and turns records field by field")
    func byteSwap() throws {
        let dtype = try DType(descr: "[('flag', '|b1'), ('n', '<i4'), ('s', '<U2')]")
        var bytes: [UInt8] = [1] + [1, 2, 3, 4] + [0, 0, 0, 65, 0, 0, 0, 66]
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        ByteSwap(dtype).swap(&raw)
        #expect(bytes == [1] + [4, 3, 2, 1] + [65, 0, 0, 0, 66, 0, 0, 0])
        #expect(
            ByteSwap(.bytes(8)).isIdentity && ByteSwap(.bool).isIdentity && !ByteSwap(.float16).isIdentity)
    }
}

/// The bytes in hexadecimal digits after a swap.
private func turned(_ hex: String, _ swap: ByteSwap) -> String {
    var bytes = bytes(fromHex: hex)
    bytes.withUnsafeMutableBytes { swap.swap($0) }
    return bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}

/// Bytes from hexadecimal digits.
func bytes(fromHex hex: String) -> [UInt8] {
    let digits = hex.utf8.map { UInt8($0 > 57 ? $0 - 87 : $0 - 48) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A header with this dictionary, without padding.
func npyBytes(_ dictionary: String, version: UInt8 = 1) -> [UInt8] {
    let body =
        version == 3
        ? Array(dictionary.utf8) : dictionary.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    let length = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) }
    return NpyHeader.magic + [version, 0] + length + body
}
