import Foundation
import Testing
import ZBigDB

@Suite("Slice expressions")
struct SliceTests {
    private func layout(_ shape: Int..., order: Order = .c) throws -> StridedLayout {
        try StridedLayout(shape: shape, itemSize: 8, order: order)
    }

    private func shape(_ layout: StridedLayout, _ text: String) throws -> [Int] {
        try layout.applying(SliceExpression(parsing: text)).shape
    }

    // MARK: Against NumPy

    private struct Case: Codable {
        let shape: [Int]
        let itemSize: Int
        let order: String
        let slices: [String]
    }

    private struct Answer: Codable {
        let error: String?
        let shape: [Int]
        let strides: [Int]
        let offset: Int
    }

    @Test("F9 F10 F14 F15 F22 F23 chains of slices give NumPy's shape, strides and offset")
    func chainsAgreeWithNumPy() throws {
        var random = ArrayRandom("SliceTests.chains")
        var cases: [Case] = []
        for _ in 0..<600 {
            let shape = random.shape()
            let order = random.order()
            let itemSize = [1, 2, 4, 8, 12].randomElement(using: &random) ?? 8
            var slices: [String] = []
            var layout = try StridedLayout(shape: shape, itemSize: itemSize, order: order)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let slice = random.slice(for: layout.shape, wrong: random.chance(30))
                slices.append(random.sloppyText(slice))
                guard let next = try? layout.applying(slice) else { break }
                layout = next
            }
            cases.append(
                Case(shape: shape, itemSize: itemSize, order: order.description, slices: slices))
        }
        let answers: [Answer] = try numpy(
            """
            for case in cases:
                a = np.zeros(case['shape'], dtype='V%d' % case['itemSize'], order=case['order'])
                start = a.__array_interface__['data'][0]
                error = None
                for text in case['slices']:
                    try:
                        index = eval('np.index_exp[%s]' % text, {'np': np, 'newaxis': None}) if text else ()
                        if Ellipsis not in index:
                            index += (Ellipsis,)
                        a = a[index]
                    except (IndexError, ValueError) as e:
                        error = str(e)
                        break
                answers.append({
                    'error': error, 'shape': a.shape, 'strides': a.strides,
                    'offset': a.__array_interface__['data'][0] - start})
            """, cases: cases)
        try #require(answers.count == cases.count)
        var refused = 0
        for (item, answer) in zip(cases, answers) {
            let note: Comment = "seed \(random.seed): \(item)"
            var layout = try StridedLayout(
                shape: item.shape, itemSize: item.itemSize, order: item.order == "C" ? .c : .fortran)
            do throws(ArrayError) {
                for text in item.slices {
                    layout = try layout.applying(SliceExpression(parsing: text))
                }
                #expect(answer.error == nil, note)
                #expect(layout.shape == answer.shape, note)
                // NumPy gives an array without items strides of 0 throughout.
                guard !layout.isEmpty else { continue }
                #expect(layout.offset == answer.offset, note)
                // Where there is only one item, the stride says nothing, and NumPy lets it overflow.
                for axis in layout.shape.indices where layout.shape[axis] > 1 {
                    #expect(layout.strides[axis] == answer.strides[axis], note)
                }
            } catch {
                refused += 1
                #expect(answer.error != nil, "\(error), \(note)")
            }
        }
        #expect(refused > 10 && refused < 300, "the random cases should be a mixture")
    }

    @Test("Every start, stop and step on a short axis selects NumPy's items")
    func everyRangeOfFour() throws {
        let bounds: [Int?] = [nil] + (-6...6).map { $0 }
        let answers: [[Int]] = try numpy(
            """
            bounds = [None] + list(range(-6, 7))
            for n in range(5):
                for start in bounds:
                    for stop in bounds:
                        for step in (-5, -3, -2, -1, 1, 2, 3, 5):
                            answers.append(np.arange(n)[start:stop:step].tolist())
            """, cases: [Int]())
        var number = 0
        for length in 0..<5 {
            for start in bounds {
                for stop in bounds {
                    for step in [-5, -3, -2, -1, 1, 2, 3, 5] {
                        let layout = try StridedLayout(shape: [length], itemSize: 1)
                        let view = try layout.applying([.range(start: start, stop: stop, step: step)])
                        var items: [Int] = []
                        view.forEachRun { offset, count in items += offset..<offset + count }
                        if items != answers[number] {
                            Issue.record("\(length): \(start as Any) \(stop as Any) \(step): \(items)")
                        }
                        number += 1
                    }
                }
            }
        }
        #expect(number == answers.count)
    }

    // MARK: Rules

    @Test("F11 empty slices of the major axis", arguments: ["5:5", "10:5", "5:10:-1", "20:", "20:30"])
    func emptyMajor(text: String) throws {
        let view = try layout(10, 3).applying(SliceExpression(parsing: text))
        #expect(view.shape == [0, 3])
        #expect(view.byteRange.isEmpty)
    }

    @Test("F12 an empty major slice still checks and applies the other axes")
    func emptyMajorWithOthers() throws {
        #expect(try shape(layout(10, 5), "2:2, 1:3") == [0, 2])
        #expect(throws: ArrayError.indexOutOfRange(axis: 1, index: 5, length: 5)) {
            try shape(layout(10, 5), "2:2, 5")
        }
    }

    @Test("F15 a negative step whose last item is not the first of the array")
    func negativeStep() throws {
        let view = try layout(9, 1000).applying([.range(start: 8, step: -2)])
        #expect(view.shape == [5, 1000])
        #expect(view.byteRange == 0..<72_000)
        #expect(
            try layout(10, 1000).applying([.range(start: 8, stop: 1, step: -2)]).byteRange == 16_000..<72_000)
        #expect(try layout(10).applying([.range(step: -4097)]).byteRange == 72..<80)
        #expect(try layout(10).applying([.range(step: .min)]).byteRange == 72..<80)
    }

    @Test("F16 step 0 is refused")
    func zeroStep() throws {
        #expect(throws: ArrayError.zeroStep) { try layout(10).applying([.range(step: 0)]) }
        #expect(throws: ArrayError.zeroStep) { try layout(0).applying([.range(step: 0)]) }
        #expect(position("::2, 1:2:0") == 9)
    }

    @Test("F17 an integer removes its axis, a negative one counts from the end")
    func integers() throws {
        let view = try layout(4, 3).applying([-1])
        #expect(view.shape == [3])
        #expect(view.offset == 72)
        #expect(try layout(4, 3).applying([-1, 0]).shape == [])
        #expect(try layout(4, 3).byteOffset(of: [1, -1]) == 40)
    }

    @Test("F18 an index of n or more is refused")
    func indexTooLarge() throws {
        #expect(throws: ArrayError.indexOutOfRange(axis: 0, index: 10, length: 10)) {
            try layout(10).applying([10])
        }
        #expect(throws: ArrayError.indexOutOfRange(axis: 0, index: 0, length: 0)) {
            try layout(0).applying([0])
        }
        #expect(throws: ArrayError.self) { try layout(10).applying([.index(.max)]) }
    }

    @Test("F19 an index below -n is refused", arguments: [-11, -12, -20, .min])
    func indexTooSmall(index: Int) throws {
        #expect(throws: ArrayError.indexOutOfRange(axis: 0, index: index, length: 10)) {
            try layout(10).applying([.index(index)])
        }
    }

    @Test("F20 more indices than axes are refused")
    func tooMany() throws {
        #expect(throws: ArrayError.tooManyIndices(given: 3, rank: 2)) {
            try layout(4, 3).applying([0, 0, 0])
        }
        #expect(throws: ArrayError.tooManyIndices(given: 1, rank: 0)) { try layout().applying([.all]) }
        #expect(try shape(layout(4, 3), "0, 0, ..., None") == [1])
    }

    @Test(
        "F21 anything but basic indexing is refused with its position",
        arguments: [
            ("[0, 1]", 0), ("0, [1]", 3), (":[1]", 1), ("True", 0), ("0, False", 3), ("(0, 1)", 0),
            ("1.5", 1), (".5", 0), ("..", 0), ("....", 0), ("..., ...", 5), ("...:2", 3), ("0:...", 2),
            ("Ellipsis:2", 0), ("0:Ellipsis", 2), ("abc", 0), ("0 1", 2), (",", 0), ("1,,2", 2),
            ("1:2:3:4", 5), ("-", 1), ("1_000", 1), ("0x10", 1), ("5L", 1), ("1;2", 1), ("a[0]", 0),
            ("99999999999999999999", 0), ("0:99999999999999999999", 2), ("::0", 2), ("\"a\"", 0), ("0]", 1),
            ("-9223372036854775809", 0), ("٣", 0), ("1e3", 1),
        ])
    func refusedText(text: String, at expected: Int) {
        #expect(position(text) == expected, "\(text)")
    }

    private func position(_ text: String) -> Int? {
        do throws(ArrayError) {
            _ = try SliceExpression(parsing: text)
            return nil
        } catch {
            guard case .invalidSlice(text, let position, let reason) = error, !reason.isEmpty else {
                return nil
            }
            return position
        }
    }

    @Test("F22 F23 ellipsis and new axes anywhere")
    func ellipsisAndNewAxis() throws {
        #expect(try shape(layout(4, 3, 2), "..., 0") == [4, 3])
        #expect(try shape(layout(4, 3, 2), "0, ..., None") == [3, 2, 1])
        #expect(try shape(layout(4, 3, 2), "newaxis") == [1, 4, 3, 2])
        #expect(try shape(layout(4, 3, 2), "np.newaxis, 2:, None") == [1, 2, 1, 3, 2])
        #expect(throws: ArrayError.multipleEllipses) { try layout(4).applying([.ellipsis, .ellipsis]) }
        #expect(throws: ArrayError.self) {
            try layout().applying(SliceExpression([AxisIndex](repeating: .newAxis, count: 65)))
        }
    }

    // MARK: Text and Swift ranges

    @Test("Text is read with free spaces, a comma at the end and long forms")
    func text() throws {
        #expect(try SliceExpression(parsing: "") == [])
        #expect(try SliceExpression(parsing: "  ") == [])
        #expect(try SliceExpression(parsing: "3426") == [3426])
        #expect(
            try SliceExpression(parsing: " 0 : 10 , : : - 1 , ") == [
                .range(start: 0, stop: 10), .range(step: -1),
            ])
        #expect(try SliceExpression(parsing: "None:+4:None") == [.range(stop: 4)])
        #expect(try SliceExpression(parsing: "Ellipsis,numpy.newaxis") == [.ellipsis, .newAxis])
        #expect(try SliceExpression(parsing: "-9223372036854775808") == [.index(.min)])
    }

    @Test("The description is read back as the same expression")
    func roundTrip() throws {
        var random = ArrayRandom("SliceTests.roundTrip")
        for _ in 0..<500 {
            let slice = random.slice(for: random.shape(), wrong: false)
            let note: Comment = "seed \(random.seed): \(slice)"
            #expect(try SliceExpression(parsing: slice.description) == slice, note)
            #expect(try SliceExpression(parsing: random.sloppyText(slice)) == slice, note)
        }
    }

    @Test("Swift integers and ranges")
    func swiftRanges() {
        #expect(
            SliceExpression(3, 0..<10, 0...9, 2..., ..<4, ...4).description == "3, 0:10, 0:10, 2:, :4, :5")
        #expect(
            SliceExpression(.ellipsis, .range(step: -1), .newAxis, .all).description == "..., ::-1, None, :")
        #expect(SliceExpression(-3 ... -1, -3..<0, ...(-1), 0...Int.max).description == "-3:, -3:, :, 0:")
        #expect(SliceExpression().indices.isEmpty)
    }

    @Test("Messages say what to do")
    func messages() {
        #expect(
            ArrayError.indexOutOfRange(axis: 1, index: 12, length: 10).description
                == "index 12 is out of range for axis 1 of length 10: use -10 to 9")
        #expect(
            ArrayError.invalidSlice("0, [1]", position: 3, reason: "no lists").description
                == "invalid index '0, [1]' at position 3: no lists")
    }
}
