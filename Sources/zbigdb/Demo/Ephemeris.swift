import ZBigDB

/// Where something is, in kilometres from the barycentre of the solar system.
struct Position: Sendable {
    var x: Double
    var y: Double
    var z: Double

    /// The largest difference of a coordinate.
    func distance(to other: Position) -> Double {
        max(abs(x - other.x), abs(y - other.y), abs(z - other.z))
    }

    /// The same in every bit, as far as arithmetic can tell.
    func isIdentical(to other: Position) -> Bool { x == other.x && y == other.y && z == other.z }

    var json: JSON { .array([.real(x), .real(y), .real(z)]) }
}

/// A table of Chebyshev coefficients: for each interval of days and each coordinate a polynomial.
struct Ephemeris {
    /// Julian days.
    static let firstDay = 2_414_992.5
    static let lastDay = 2_524_624.5

    private let view: ArrayView<Double>
    private let days: Double

    /// - Throws: ``ToolError/demoFailed(_:)`` for an array of another form, and what opening it throws.
    init(_ array: BigArray) throws {
        guard array.shape.count == 3, array.shape[0] > 0, array.shape[1] == 3, array.shape[2] >= 2 else {
            throw ToolError.demoFailed("a table of shape \(ArrayShape.text(array.shape)) has no coefficients")
        }
        view = try array.view(as: Double.self)
        days = (Self.lastDay - Self.firstDay) / Double(array.shape[0])
    }

    /// Which polynomials hold for a day.
    func interval(_ day: Double) -> Int {
        min(max(Int((day - Self.firstDay) / days), 0), view.shape[0] - 1)
    }

    /// The position at a Julian day: sums over the array's mapped memory, no copy.
    func position(_ day: Double) throws -> Position {
        let interval = interval(day)
        let start = Self.firstDay + Double(interval) * days
        let x = 2 * (day - start) / days - 1
        return try view.withUnsafeBufferPointer { memory in
            let count = view.shape[2]
            func sum(_ axis: Int) -> Double {
                let first = (interval * 3 + axis) * count
                var (previous, current) = (1.0, x)
                var total = memory[first] + memory[first + 1] * x
                for index in 2..<count {
                    (previous, current) = (current, 2 * x * current - previous)
                    total += memory[first + index] * current
                }
                return total
            }
            return Position(x: sum(0), y: sum(1), z: sum(2))
        }
    }
}

/// A position that is known from another program.
struct KnownPosition {
    let table: String
    let body: String
    let day: Double
    let position: Position

    /// From `jplephem` 1.2 with the same tables; see the README beside them.
    static let all = [
        KnownPosition(
            table: "mars", body: "Mars", day: 2451545.0,
            position: Position(x: 206980541.97099587, y: -186369.83560887945, z: -5667233.104433829)),
        KnownPosition(
            table: "earthmoon", body: "Earth-Moon", day: 2451545.0,
            position: Position(x: -27570175.523305077, y: 132358187.77292642, z: 57417722.69397782)),
        KnownPosition(
            table: "mars", body: "Mars", day: 2461000.5,
            position: Position(x: -37980484.56181064, y: -199029378.71961942, z: -90237514.93410328)),
        KnownPosition(
            table: "sun", body: "Sun", day: 2435000.25,
            position: Position(x: 772537.5212492077, y: -398061.2650946704, z: -201881.25594910086)),
    ]
}
