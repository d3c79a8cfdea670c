import Foundation
import ZBigDB

/// A repeatable source of random array cases. The seed is printed; the environment variable
/// `ZBIGDB_TEST_SEED` sets it to run a failed case again.
struct ArrayRandom: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    /// - Parameter seed: if it comes from another source of this kind.
    init(_ name: String, seed: UInt64) {
        self.seed = seed
        state = seed
    }

    init(_ name: String) {
        let given = ProcessInfo.processInfo.environment["ZBIGDB_TEST_SEED"].flatMap { UInt64($0) }
        seed = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        state = seed
        print("\(name): ZBIGDB_TEST_SEED=\(seed)")
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &self) < percent
    }

    mutating func shape(rank: ClosedRange<Int> = 0...4) -> [Int] {
        let small = chance(85)
        return (0..<Int.random(in: rank, using: &self)).map { _ in
            small ? Int.random(in: 1...6, using: &self) : Int.random(in: 0...3, using: &self)
        }
    }

    mutating func order() -> Order {
        chance(50) ? .c : .fortran
    }

    /// An index expression for an array of this shape; now and then one that must be refused.
    mutating func slice(for shape: [Int], wrong: Bool) -> SliceExpression {
        var indices: [AxisIndex] = []
        for length in shape.prefix(Int.random(in: 0...shape.count, using: &self)) {
            indices.append(axisIndex(length: length, wrong: wrong))
        }
        while chance(20) { indices.insert(.newAxis, at: Int.random(in: 0...indices.count, using: &self)) }
        if chance(25) { indices.insert(.ellipsis, at: Int.random(in: 0...indices.count, using: &self)) }
        if wrong, chance(5) { indices.append(.ellipsis) }
        if wrong, chance(5) { indices += [0, 0] }
        return SliceExpression(indices)
    }

    private mutating func axisIndex(length: Int, wrong: Bool) -> AxisIndex {
        let margin = wrong && chance(15) ? 3 : 0
        if chance(40), length + margin > 0 {
            return .index(Int.random(in: -length - margin..<length + margin, using: &self))
        }
        let steps = [1, 1, 1, 2, 3, 7, -1, -1, -2, -3, -7, .max, -.max]
        return .range(
            start: bound(length), stop: bound(length),
            step: wrong && chance(3) ? 0 : steps.randomElement(using: &self) ?? 1)
    }

    private mutating func bound(_ length: Int) -> Int? {
        if chance(40) { return nil }
        if chance(5) { return chance(50) ? .max : -.max }
        return Int.random(in: -length - 3...length + 3, using: &self)
    }

    /// The text of an expression, with spaces and long forms in unusual places.
    mutating func sloppyText(_ slice: SliceExpression) -> String {
        var text = ""
        for (number, index) in slice.indices.enumerated() {
            if number > 0 { text += space() + "," + space() }
            switch index {
            case .newAxis: text += chance(50) ? "newaxis" : "None"
            case .ellipsis: text += chance(30) ? "Ellipsis" : "..."
            case .range(let start, let stop, 1):
                text += bound(start) + ":" + bound(stop) + (chance(30) ? ":" + space() : "")
            case .range(let start, let stop, let step):
                text += bound(start) + ":" + bound(stop) + ":" + bound(step)
            case .index: text += index.description
            }
        }
        if !slice.indices.isEmpty, chance(30) || text == "..." { text += space() + "," }
        return text
    }

    private mutating func space() -> String {
        String(repeating: " ", count: Int.random(in: 0...2, using: &self))
    }

    private mutating func bound(_ value: Int?) -> String {
        space() + (value.map(String.init) ?? (chance(20) ? "None" : "")) + space()
    }
}
