import Foundation
import Testing
import ZBigDB

@Suite("The .npy format")
struct NpyTests {
    // MARK: Against NumPy

    private struct Case: Codable {
        let descr: String
        let shape: [Int]
        let order: String
    }

    @Test("Headers are byte for byte those of numpy.save, and are read back")
    func headersAgreeWithNumPy() throws {
        var random = ArrayRandom("NpyTests.headers")
        var cases: [Case] = []
        let lengths = [0, 1, 2, 9, 10, 99, 100, 12345, 1 << 20, 1 << 33]
        for number in 0..<400 {
            // Only few elements are real, so that long axes are possible.
            var shape = random.shape(rank: 0...5)
            if number % 2 == 0, !shape.isEmpty {
                shape[Int.random(in: 0..<shape.count, using: &random)] =
                    lengths.randomElement(using: &random) ?? 0
            }
            let descr = number % 3 == 0 ? DTypeTests.randomDescr(&random) : "'<f8'"
            cases.append(Case(descr: descr, shape: shape, order: random.order().description))
        }
        let answers: [String] = try numpy(
            """
            import ast, io, math, warnings
            from numpy.lib import format
            warnings.simplefilter('ignore')
            def untitled(dt):
                if dt.subdtype:
                    return np.dtype((untitled(dt.subdtype[0]), dt.subdtype[1]))
                if dt.names is None:
                    return dt
                return np.dtype({
                    'names': list(dt.names), 'formats': [untitled(dt.fields[n][0]) for n in dt.names],
                    'offsets': [dt.fields[n][1] for n in dt.names], 'itemsize': dt.itemsize})
            for case in cases:
                dt = untitled(format.descr_to_dtype(ast.literal_eval(case['descr'])))
                size = math.prod(case['shape'])
                out = io.BytesIO()
                if size < 100000 and dt.itemsize:
                    np.save(out, np.zeros(case['shape'], dt, order=case['order']))
                    header = out.getvalue()[:len(out.getvalue()) - size * dt.itemsize]
                else:
                    a = np.lib.stride_tricks.as_strided(np.zeros(1), case['shape'], [0] * len(case['shape']))
                    fortran = case['order'] == 'F' and sum(n > 1 for n in case['shape']) > 1 and size > 0
                    d = {'descr': format.dtype_to_descr(dt), 'fortran_order': fortran, 'shape': tuple(case['shape'])}
                    format._write_array_header(out, d) if hasattr(format, '_write_array_header') \\
                        else np.lib._format_impl._write_array_header(out, d)
                    header = out.getvalue()
                answers.append(header.hex())
            """, cases: cases)
        try #require(answers.count == cases.count)
        for (item, answer) in zip(cases, answers) {
            let note: Comment = "seed \(random.seed): \(item)"
            let expected = bytes(fromHex: answer)
            let read = try NpyHeader(parsing: expected)
            #expect(read.shape == item.shape, note)
            #expect(read.dataOffset == expected.count, note)
            #expect(read.encoded() == expected, note)
            #expect(try read.dtype == DType(descr: item.descr), note)
            #expect(try NpyHeader.headerLength(prefix: expected.prefix(12)) == expected.count, note)
            #expect(try NpyHeader(parsing: expected + [0, 1, 2]) == read, note)
            if !read.bigEndian {
                let made = try NpyHeader(
                    dtype: read.dtype, shape: item.shape, order: item.order == "C" ? .c : .fortran)
                #expect(made.encoded() == expected, note)
                #expect(made == read, note)
            }
        }
    }

    @Test("Headers that only versions 2 and 3 can hold")
    func newerVersions() throws {
        let answers: [String] = try numpy(
            """
            import io, warnings
            warnings.simplefilter('ignore')
            for name in ('field', 'f\\u00e9ld', '\\u65e5'):
                for count in (1, 2700, 4000):
                    out = io.BytesIO()
                    np.save(out, np.zeros(0, [(name + str(i), '<i4') for i in range(count)]))
                    answers.append(out.getvalue().hex())
            """, cases: [Int]())
        let headers = try answers.map { try NpyHeader(parsing: bytes(fromHex: $0)) }
        #expect(headers.map(\.version) == [1, 1, 2, 1, 1, 2, 3, 3, 3])
        for (header, answer) in zip(headers, answers) {
            #expect(header.encoded() == bytes(fromHex: answer))
            #expect(try NpyHeader(dtype: header.dtype, shape: [0]) == header)
        }
    }

    @Test("NumPy reads an array with a header from here")
    func numpyReads() throws {
        let header = try NpyHeader(
            dtype: .packed(["a": .int16, "b": .float64]), shape: [2, 1], order: .fortran)
        var file = header.encoded()
        for (first, second) in [(Int16(1), 2.5), (3, -4.5)] {
            withUnsafeBytes(of: first) { file += $0 }
            withUnsafeBytes(of: second) { file += $0 }
        }
        let text = try numpy(
            "import io; print(np.load(io.BytesIO(bytes(json.load(sys.stdin)))).tolist())", input: "\(file)")
        #expect(text == "[[(1, 2.5)], [(3, -4.5)]]\n")
    }

    // MARK: Real files

    private func file(_ name: String) throws -> [UInt8] {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        return Array(try Data(contentsOf: folder.appendingPathComponent("Data/de421/\(name)")))
    }

    @Test("Coefficients of an ephemeris")
    func coefficients() throws {
        for (name, shape) in [
            ("jpl-mars.npy", [3426, 3, 11]), ("jpl-earthmoon.npy", [6852, 3, 13]),
            ("jpl-sun.npy", [6852, 3, 11]),
        ] {
            let bytes = try file(name)
            let header = try NpyHeader(parsing: bytes)
            #expect(
                header.version == 1 && header.dtype == .float64 && header.order == .c && !header.bigEndian)
            #expect(header.shape == shape)
            #expect(header.dataOffset + header.dataByteCount == bytes.count)
            #expect(header.layout.byteRange == 0..<header.dataByteCount)
        }
    }

    @Test("F13 records of 14 bytes, which are not aligned")
    func constants() throws {
        let bytes = try file("constants.npy")
        let header = try NpyHeader(parsing: bytes)
        #expect(header.dtype.description == "[('name', '|S6'), ('value', '<f8')]")
        #expect(header.shape == [231] && header.dtype.itemSize == 14 && header.dataOffset == 112)
        #expect(header.dataOffset + header.dataByteCount == bytes.count)
        let layout = try header.layout.shifted(by: header.dataOffset)
        let names = try layout.field(header.dtype.field(named: "name"))
        let values = try layout.field(header.dtype.field(named: "value"))
        #expect(String(decoding: bytes[names.offset..<names.offset + 5], as: UTF8.self) == "DENUM")
        let first = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: values.offset, as: Double.self) }
        #expect(first == 421)
        // Older versions of NumPy leave no room for growth.
        #expect(header.encoded().count == 128)
    }

    // MARK: What else a header may be

    @Test(
        "The dictionary in other spellings",
        arguments: [
            "{'shape': (3, 4), 'fortran_order': True, 'descr': '>i4'}",
            "{\"descr\":\">i4\",\"fortran_order\":True,\"shape\":(3L,4L),}   \n",
            "  { 'descr' : u'>i4' ,\n 'fortran_order' : True , 'shape' : ( 3 , 4 , ) , }",
            "{'d\\x65scr': '>\\151\\u0034', 'fortran_order': True, 'shape': (3, +4)}",
        ], [1, 2, 3] as [UInt8])
    func otherSpellings(text: String, version: UInt8) throws {
        let header = try NpyHeader(parsing: npyBytes(text, version: version))
        #expect(header.dtype == .int32 && header.bigEndian && header.order == .fortran)
        #expect(header.shape == [3, 4] && header.version == version)
        #expect(header.layout.strides == [4, 12])
        #expect(header.count == 12 && header.dataByteCount == 48)
    }

    @Test("Characters outside of ASCII: Latin-1 in versions 1 and 2, UTF-8 in version 3")
    func encodings() throws {
        let text = "{'descr': [('é', '<i4')], 'fortran_order': False, 'shape': ()}"
        for version: UInt8 in 1...3 {
            let header = try NpyHeader(parsing: npyBytes(text, version: version))
            #expect(header.dtype.fields.map(\.name) == ["é"])
        }
        var broken = npyBytes(text, version: 3)
        broken[try #require(broken.firstIndex(of: 0xC3))] = 0xFF
        #expect(throws: ArrayError.invalidNpy(reason: "the header is not UTF-8")) {
            try NpyHeader(parsing: broken)
        }
    }

    @Test("Fields of both byte orders in one record")
    func mixedByteOrder() throws {
        let text = "{'descr': [('a', '>i2'), ('b', '<i2')], 'fortran_order': False, 'shape': (1,), }"
        let header = try NpyHeader(parsing: npyBytes(text))
        #expect(header.bigEndian)
        var bytes: [UInt8] = [0, 1, 2, 0]
        bytes.withUnsafeMutableBytes { header.byteSwap.swap($0) }
        #expect(bytes == [1, 0, 2, 0])
        #expect(String(decoding: header.encoded().dropFirst(10), as: UTF8.self).hasPrefix(text))
    }

    @Test("A header to write in big-endian order")
    func bigEndian() throws {
        let header = try NpyHeader(dtype: .float64, shape: [3], bigEndian: true)
        #expect(header.bigEndian)
        #expect(String(decoding: header.encoded(), as: UTF8.self).contains("'descr': '>f8'"))
        #expect(try NpyHeader(parsing: header.encoded()) == header)
        #expect(throws: ArrayError.self) { try NpyHeader(dtype: .float64, shape: [-1]) }
        #expect(throws: ArrayError.self) { try NpyHeader(dtype: .float64, shape: [1 << 60]) }
    }

    // MARK: Hostile input

    @Test(
        "Dictionaries that make no sense",
        arguments: [
            "", "{}", "[]", "5", "{'descr': '<f8'}", "{'descr': '<f8', 'fortran_order': False}",
            "{'descr': '<f8', 'fortran_order': 0, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': [3]}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3.0,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
            "{'descr': '|V0', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775807)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': ()} x",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (), 'more': 1}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (), 'shape': ()}",
            "{'descr': '<f8' 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f8, 'fortran_order': False, 'shape': ()}",
            "{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}",
            "{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '|O', 'fortran_order': False, 'shape': ()}",
            "{'descr': None, 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (\(String(repeating: "1,", count: 65)))}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': \(String(repeating: "(", count: 30_000))",
            "{'descr': \(String(repeating: "[", count: 30_000))",
            "{'descr': \(String(repeating: "{1:", count: 20_000))",
        ])
    func refusedDictionaries(text: String) {
        for version: UInt8 in 1...3 {
            #expect(throws: ArrayError.self) { try NpyHeader(parsing: npyBytes(text, version: version)) }
        }
    }

    @Test("Files that are something else")
    func otherFiles() {
        func reason(_ bytes: [UInt8]) -> String {
            do throws(ArrayError) {
                return "\(try NpyHeader.headerLength(prefix: bytes))"
            } catch {
                return error.description
            }
        }
        #expect(reason(Array("PK\u{03}\u{04}abcdefgh".utf8)).contains("zip archive"))
        #expect(reason(Array("hello, world".utf8)).contains("does not start with"))
        #expect(reason(NpyHeader.magic + [4, 0, 0, 0, 0, 0]).contains("version 4.0"))
        #expect(reason(NpyHeader.magic + [1, 1, 0, 0, 0, 0]).contains("version 1.1"))
        #expect(reason(NpyHeader.magic + [2, 0, 255, 255, 255, 255]).contains("4294967307 bytes"))
        #expect(reason(NpyHeader.magic + [1, 0, 118, 0]) == "128")
        #expect(reason([]).contains("ends too early"))
    }

    @Test("A header that ends early is refused at every length")
    func truncated() throws {
        let whole = try NpyHeader(dtype: .float64, shape: [3, 4]).encoded()
        #expect(whole.count == 128)
        for length in 0..<whole.count {
            do throws(ArrayError) {
                _ = try NpyHeader(parsing: whole.prefix(length))
                Issue.record("read from \(length) bytes")
            } catch {
                guard case .truncatedNpy(let needed, length) = error, needed > length else {
                    Issue.record("\(length): \(error)")
                    continue
                }
            }
        }
    }

    @Test("Random damage gives an error or another header, never a crash")
    func damaged() throws {
        var random = ArrayRandom("NpyTests.damaged")
        let words = [
            "'", "\"", "\\", "(", ")", "[", "]", "{", "}", ",", ":", "9223372036854775807", "-", "L", "é",
            "O",
        ]
        var read = 0
        for _ in 0..<3000 {
            let dtype = try DType(descr: DTypeTests.randomDescr(&random))
            var text = Array(
                "{'descr': \(dtype.description.hasPrefix("[") ? "\(dtype)" : "'\(dtype)'"), "
                    + "'fortran_order': False, 'shape': (3, 4), }")
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<text.count, using: &random)
                let word = random.chance(60) ? words.randomElement(using: &random) ?? "" : ""
                text.replaceSubrange(at..<at + (random.chance(50) ? 1 : 0), with: word)
                if random.chance(20) { text.swapAt(0, text.count / 2) }
            }
            var bytes = npyBytes(String(text), version: random.chance(50) ? 1 : 3)
            if random.chance(20) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            guard let header = try? NpyHeader(parsing: bytes) else { continue }
            read += 1
            #expect(header.dataByteCount >= 0, "seed \(random.seed)")
            #expect(try NpyHeader(parsing: header.encoded()).dtype == header.dtype, "seed \(random.seed)")
        }
        #expect(read > 0)
    }
}
