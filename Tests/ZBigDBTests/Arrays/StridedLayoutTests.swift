import Foundation
import Testing
import ZBigDB

@Suite("Strided layouts")
struct StridedLayoutTests {
    // MARK: Sizes

    @Test("F1 strides follow the order")
    func strides() throws {
        #expect(try StridedLayout(shape: [4, 3, 2], itemSize: 8).strides == [48, 16, 8])
        #expect(try StridedLayout(shape: [4, 3, 2], itemSize: 8, order: .fortran).strides == [8, 32, 96])
        #expect(Order(rawValue: 2) == nil)
    }

    @Test("F3 a negative length is refused")
    func negativeLength() {
        #expect(throws: ArrayError.invalidShape([3, -1], reason: "no axis can have a negative length")) {
            try StridedLayout(shape: [3, -1], itemSize: 8)
        }
        #expect(throws: ArrayError.self) { try StridedLayout(shape: [0, -1], itemSize: 8) }
        #expect(throws: ArrayError.self) { try ArrayShape.count([.min]) }
        #expect(throws: ArrayError.self) { try StridedLayout(shape: [], itemSize: -1) }
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [Int](repeating: 1, count: 65), itemSize: 8)
        }
    }

    @Test("F6 sizes are exact up to the largest that fits, larger ones are refused")
    func exactSizes() throws {
        let largest = try StridedLayout(shape: [.max], itemSize: 1)
        #expect(largest.count == .max)
        #expect(largest.byteCount == .max)
        #expect(largest.byteRange == 0..<Int.max)
        #expect(try largest.applying([.range(step: -1)]).byteRange == 0..<Int.max)
        #expect(try largest.byteOffset(of: [-1]) == .max - 1)
        let wide = try StridedLayout(shape: [1 << 40, 1 << 10, 1 << 9], itemSize: 8)
        #expect(wide.byteCount == 1 << 62)
        #expect(try wide.applying([-1, -1, -1]).offset == (1 << 62) - 8)
        for (shape, itemSize) in [([1 << 35, 1 << 35], 1), ([1 << 60], 8), ([.max, 2], 1), ([.max], 2)] {
            for order in [Order.c, .fortran] {
                #expect(throws: ArrayError.sizeOverflow(shape: shape, itemSize: itemSize)) {
                    try StridedLayout(shape: shape, itemSize: itemSize, order: order)
                }
            }
        }
        #expect(throws: ArrayError.self) { try StridedLayout(shape: [4], itemSize: 8, offset: .max - 31) }
        #expect(try StridedLayout(shape: [4], itemSize: 8, offset: .max - 32).byteRange.upperBound == .max)
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [1], itemSize: 1).broadcast(to: [.max, 2])
        }
        #expect(throws: ArrayError.self) { try StridedLayout(shape: [.max, 2], itemSize: 0) }
    }

    @Test("F33 the major axis follows the order, not the strides")
    func majorAxis() throws {
        #expect(Order.c.majorAxis(rank: 2) == 0)
        #expect(Order.fortran.majorAxis(rank: 2) == 1)
        #expect(Order.fortran.majorAxis(rank: 0) == nil)
        let tied = try StridedLayout(shape: [1, 3], itemSize: 8, order: .fortran)
        #expect(tied.isContiguous(.c) && tied.isContiguous(.fortran))
        #expect(tied.shape[try #require(Order.fortran.majorAxis(rank: tied.rank))] == 3)
    }

    @Test("F34 arrays without items, and scalars")
    func empty() throws {
        for shape in [[0, 3, 2], [3, 0, 2], [3, 2, 0]] {
            let layout = try StridedLayout(shape: shape, itemSize: 8)
            #expect(layout.count == 0 && layout.byteCount == 0 && layout.isEmpty)
            #expect(layout.byteRange.isEmpty)
            #expect(layout.isContiguous(.c) && layout.isContiguous(.fortran))
            layout.forEachRun { _, _ in Issue.record("there is nothing to walk") }
        }
        let scalar = try StridedLayout(shape: [], itemSize: 8, offset: 16)
        #expect(scalar.count == 1)
        #expect(scalar.byteRange == 16..<24)
        var runs: [[Int]] = []
        scalar.forEachRun { runs.append([$0, $1]) }
        #expect(runs == [[16, 1]])
        #expect(try ArrayShape.count([]) == 1)
        #expect(throws: ArrayError.self) { try StridedLayout(shape: [.max, 0], itemSize: 8) }
        // An index can move the offset, but a view without items fits everywhere.
        let view = try StridedLayout(shape: [3, 0], itemSize: 8, order: .fortran).applying([1])
        try view.check(within: 0)
        #expect(copy([], view, to: view) == [])
    }

    @Test("F45 a layout that reaches outside of its bytes is refused")
    func tampered() throws {
        #expect(throws: ArrayError.layoutOutOfBounds(reason: "an item starts before byte 0")) {
            try StridedLayout(shape: [3], strides: [-8], offset: 8, itemSize: 8)
        }
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [3], strides: [], offset: 0, itemSize: 8)
        }
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [3, 3], strides: [.max / 2, .max / 2], offset: 0, itemSize: 8)
        }
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [3], strides: [.min], offset: 0, itemSize: 8)
        }
        #expect(throws: ArrayError.self) {
            try StridedLayout(shape: [], strides: [], offset: -8, itemSize: 8)
        }
        let layout = try StridedLayout(shape: [3], strides: [-8], offset: 16, itemSize: 8)
        try layout.check(within: 24)
        #expect(throws: ArrayError.self) { try layout.check(within: 23) }
        #expect(throws: ArrayError.self) { try layout.shifted(by: -1) }
        #expect(try layout.shifted(by: 8).byteRange == 8..<32)
    }

    @Test("F5 a field of a record array is a view of the same bytes")
    func fieldViews() throws {
        let dtype = try DType(descr: "[('a', '<i4'), ('b', '<f8', (2, 3))]")
        let layout = try StridedLayout(shape: [5], itemSize: dtype.itemSize)
        let view = try layout.field(dtype.field(named: "b"))
        #expect(view.shape == [5, 2, 3])
        #expect(view.strides == [52, 24, 8])
        #expect(view.offset == 4 && view.itemSize == 8)
        let foreign = DType.Field(name: "x", offset: 48, dtype: .float64)
        #expect(throws: ArrayError.self) { try layout.field(foreign) }
        #expect(throws: ArrayError.noSuchField("c", available: ["a", "b"])) { try dtype.field(named: "c") }
    }

    // MARK: Walking, against NumPy

    private struct Case: Codable {
        let shape: [Int]
        let order: String
        let slice: String
        let transposed: Bool
        let target: [Int]
    }

    private struct Answer: Codable {
        let values: [Int]
        let contiguous: [Bool]
        let bounds: [Int]
        let stretched: [Int]?
    }

    /// Random views; the values of NumPy's arrays are the places of the items in memory.
    private static func walk() throws -> (seed: UInt64, pairs: [(Case, Answer)]) {
        var random = ArrayRandom("StridedLayoutTests.walk")
        var cases: [Case] = []
        for _ in 0..<400 {
            let shape = random.shape()
            // An ellipsis in the wrong place can move an index to another axis: such a slice is left out.
            let slice = random.slice(for: shape, wrong: false)
            let view = try? StridedLayout(shape: shape, itemSize: 8).applying(slice)
            guard var target = view?.shape else { continue }
            for axis in target.indices where target[axis] == 1 && random.chance(60) {
                target[axis] = Int.random(in: 0...4, using: &random)
            }
            if random.chance(40) { target.insert(Int.random(in: 0...3, using: &random), at: 0) }
            if random.chance(10), !target.isEmpty { target[0] += 1 }
            cases.append(
                Case(
                    shape: shape, order: random.order().description, slice: random.sloppyText(slice),
                    transposed: random.chance(30), target: target))
        }
        let answers: [Answer] = try numpy(
            """
            byte_bounds = np.lib.array_utils.byte_bounds if hasattr(np.lib, 'array_utils') else np.byte_bounds
            for case in cases:
                text = case['slice']
                a = np.arange(int(np.prod(case['shape'])), dtype='i8').reshape(case['shape'], order=case['order'])
                start = a.__array_interface__['data'][0]
                index = eval('np.index_exp[%s]' % text, {'np': np, 'newaxis': None}) if text else ()
                a = a[index if Ellipsis in index else index + (Ellipsis,)]
                try:
                    stretched = np.broadcast_to(a, case['target']).flatten().tolist()
                except ValueError:
                    stretched = None
                if case['transposed']:
                    a = a.T
                answers.append({
                    'values': a.flatten().tolist(),
                    'contiguous': [a.flags.c_contiguous, a.flags.f_contiguous],
                    'bounds': [int(b) - start for b in byte_bounds(a)] if a.size else [0, 0],
                    'stretched': stretched})
            """, cases: cases)
        return (random.seed, Array(zip(cases, answers)))
    }

    private func layout(_ item: Case, itemSize: Int) throws -> StridedLayout {
        try StridedLayout(
            shape: item.shape, itemSize: itemSize, order: item.order == "C" ? .c : .fortran
        ).applying(SliceExpression(parsing: item.slice))
    }

    private func places(_ layout: StridedLayout) -> [Int] {
        var places: [Int] = []
        layout.forEachRun { offset, count in
            for item in 0..<count { places.append(offset / layout.itemSize + item) }
        }
        return places
    }

    @Test("Views are walked, measured, stretched and copied as NumPy does it")
    func walkAgreesWithNumPy() throws {
        let (seed, pairs) = try Self.walk()
        for (item, answer) in pairs {
            let note: Comment = "seed \(seed): \(item)"
            let plain = try layout(item, itemSize: 8)
            let view = item.transposed ? plain.transposed() : plain
            #expect(places(view) == answer.values, note)
            #expect(view.isContiguous(.c) == answer.contiguous[0], note)
            #expect(view.isContiguous(.fortran) == answer.contiguous[1], note)
            if !view.isEmpty {
                #expect(view.byteRange == answer.bounds[0]..<answer.bounds[1], note)
            }
            let stretched = try? plain.broadcast(to: item.target)
            #expect(stretched.map(places) == answer.stretched, note)
            if stretched != nil {
                #expect(try ArrayShape.broadcast(plain.shape, item.target) == item.target, note)
            }
            for itemSize in [1, 2, 4, 8, 12] {
                let sized = try layout(item, itemSize: itemSize)
                try checkCopy(item.transposed ? sized.transposed() : sized, answer.values, note)
            }
        }
    }

    /// Copies the items of a view, each filled with its own number, to C and Fortran order and back.
    private func checkCopy(_ view: StridedLayout, _ places: [Int], _ note: Comment) throws {
        let size = view.itemSize
        let source = (0..<view.byteRange.upperBound).map { UInt8(truncatingIfNeeded: $0 / size + 1) }
        let expected = places.flatMap { [UInt8](repeating: UInt8(truncatingIfNeeded: $0 + 1), count: size) }
        let inOrder = try StridedLayout(shape: view.shape, itemSize: size)
        let other = try StridedLayout(shape: view.shape, itemSize: size, order: .fortran)
        let straight = copy(source, view, to: inOrder)
        #expect(straight == expected, note)
        let turned = copy(source, view, to: other)
        #expect(copy(turned, other, to: inOrder) == expected, note)
        let back = copy(straight, inOrder, to: view)
        #expect(copy(back, view, to: inOrder) == expected, note)
    }

    private func copy(_ bytes: [UInt8], _ layout: StridedLayout, to target: StridedLayout) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: target.byteRange.upperBound)
        bytes.withUnsafeBytes { from in
            result.withUnsafeMutableBytes { layout.copyItems(from: from, to: $0, layout: target) }
        }
        return result
    }

    @Test("Axes without gaps between them are one run")
    func coalescing() throws {
        func runs(_ text: String, _ shape: [Int] = [4, 3, 5], order: Order = .c) throws -> [[Int]] {
            var runs: [[Int]] = []
            try StridedLayout(shape: shape, itemSize: 2, order: order)
                .applying(SliceExpression(parsing: text))
                .forEachRun { runs.append([$0, $1]) }
            return runs
        }
        #expect(try runs("") == [[0, 60]])
        #expect(try runs("1:3") == [[30, 30]])
        #expect(try runs(":, 1:3") == [[10, 10], [40, 10], [70, 10], [100, 10]])
        #expect(try runs("::-2") == [[90, 15], [30, 15]])
        #expect(try runs("0, 0, ::2") == [[0, 1], [4, 1], [8, 1]])
        #expect(try runs("None, 1:3, None, ..., None") == [[30, 30]])
        #expect(try runs("", [2, 2], order: .fortran) == [[0, 1], [4, 1], [2, 1], [6, 1]])
        var strided: [[Int]] = []
        try StridedLayout(shape: [4, 6], itemSize: 2).applying([.all, .range(step: 2)])
            .forEachStridedRun { strided.append([$0, $1, $2]) }
        #expect(strided == [[0, 12, 4]])
    }

    @Test("An error thrown while walking ends the walk and keeps its type")
    func errorsPassThrough() throws {
        let layout = try StridedLayout(shape: [10, 3], itemSize: 1).applying([.all, .range(stop: 2)])
        var calls = 0
        #expect(throws: ArrayError.notContiguous) {
            try layout.forEachRun { (_: Int, _: Int) throws(ArrayError) in
                calls += 1
                if calls == 3 { throw .notContiguous }
            }
        }
        #expect(calls == 3)
    }
}
