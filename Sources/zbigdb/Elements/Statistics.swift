import ZBigDB

/// What is computed of all items.
struct Statistics {
    /// A result: exact where items are integers.
    enum Number {
        case integer(Int128)
        case real(Double)
        case bool(Bool)
    }

    var count = 0
    /// Nil without items.
    var minimum: Number?
    /// Nil without items.
    var maximum: Number?
    var sum = Number.integer(0)
    var mean = Double.nan
    /// Of the population: divided by the number of items.
    var standardDeviation = Double.nan
}

/// Takes items as they come, and never needs to see one again.
protocol StatisticsCollector {
    mutating func add(_ bytes: UnsafeRawBufferPointer)
    var result: Statistics { get }
}

extension Statistics {
    private static let pieceBytes = 4 << 20

    /// One pass over the array's memory, in the order in which it lies there.
    ///
    /// - Throws: ``ToolError/notNumeric(name:dtype:)``, ``Interrupted``, what loading throws.
    static func compute(
        _ array: BigArray, field name: String?, of arrayName: String, progress: (_ done: Int) -> Void
    ) throws -> Statistics {
        let field = try name.map { try array.dtype.field(named: $0) }
        let dtype = field?.dtype ?? array.dtype
        // Each collector has a loop of its own: behind a protocol it would be one for all, and slow.
        switch dtype {
        case .int8: return try collect(IntegerStatistics<Int8>(), array, field, progress)
        case .int16: return try collect(IntegerStatistics<Int16>(), array, field, progress)
        case .int32: return try collect(IntegerStatistics<Int32>(), array, field, progress)
        case .int64: return try collect(IntegerStatistics<Int64>(), array, field, progress)
        case .uint8: return try collect(IntegerStatistics<UInt8>(), array, field, progress)
        case .uint16: return try collect(IntegerStatistics<UInt16>(), array, field, progress)
        case .uint32: return try collect(IntegerStatistics<UInt32>(), array, field, progress)
        case .uint64: return try collect(IntegerStatistics<UInt64>(), array, field, progress)
        case .float16: return try collect(FloatStatistics<Float16>(), array, field, progress)
        case .float32: return try collect(FloatStatistics<Float>(), array, field, progress)
        case .float64: return try collect(FloatStatistics<Double>(), array, field, progress)
        case .bool: return try collect(IntegerStatistics<UInt8>(isBool: true), array, field, progress)
        case .bytes, .unicode, .raw, .record:
            let what = name.map { "\(arrayName)\" field \"\($0)" } ?? arrayName
            throw ToolError.notNumeric(name: what, dtype: dtype)
        }
    }

    private static func collect<Collector: StatisticsCollector>(
        _ empty: Collector, _ array: BigArray, _ field: DType.Field?, _ progress: (Int) -> Void
    ) throws -> Statistics {
        var collector = empty
        let size = array.itemSize
        let step = max(1, pieceBytes / size) * size
        for start in stride(from: 0, to: array.byteCount, by: step) {
            try Interruption.check()
            let range = start..<min(start + step, array.byteCount)
            try array.withUnsafeBytes(of: range) { bytes in
                guard let field else { return collector.add(bytes) }
                collector.add(field: field, size, bytes)
            }
            progress(range.upperBound)
        }
        return collector.result
    }
}

extension StatisticsCollector {
    /// Adds a field of records, brought together first.
    fileprivate mutating func add(field: DType.Field, _ itemSize: Int, _ bytes: UnsafeRawBufferPointer) {
        let length = field.shape.reduce(field.dtype.itemSize, *)
        var packed: [UInt8] = []
        packed.reserveCapacity(bytes.count / itemSize * length)
        for start in stride(from: field.offset, to: bytes.count, by: itemSize) {
            packed += bytes[start..<start + length]
        }
        packed.withUnsafeBytes { add($0) }
    }
}

/// Mean and spread of groups of numbers, brought together without losing digits
/// (Chan, Golub and LeVeque).
private struct Moments {
    private(set) var count = 0
    private var mean = 0.0
    /// The sum of the squared distances from the mean.
    private var squares = 0.0

    /// Adds a group of numbers, which are read twice.
    ///
    /// They should be distances from a place near most of them: a mean much larger than the
    /// spread has not enough digits left to tell the groups' means apart.
    @inline(__always)
    mutating func add(count other: Int, _ number: (Int) -> Double) {
        var sum = 0.0
        for index in 0..<other { sum += number(index) }
        let otherMean = sum / Double(other)
        for index in 0..<other {
            let distance = number(index) - otherMean
            squares += distance * distance
        }
        let total = count + other
        let delta = otherMean - mean
        let part = Double(other) / Double(total)
        squares += delta * delta * Double(count) * part
        mean += delta * part
        count = total
    }

    var standardDeviation: Double { count == 0 ? .nan : (squares / Double(count)).squareRoot() }
}

/// Integers and truth values.
struct IntegerStatistics<T: FixedWidthInteger & BitwiseCopyable>: StatisticsCollector {
    private let isBool: Bool
    private var moments = Moments()
    private var minimum = T.max
    private var maximum = T.min
    private var sum: Int128 = 0
    /// Near the items: distances from it are small where the items are close together.
    private var origin: T?

    init(isBool: Bool = false) { self.isBool = isBool }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let size = MemoryLayout<T>.size
        // A group stays in the processor's cache between the loops.
        for start in stride(from: 0, to: bytes.count, by: 2048 * size) {
            let end = min(start + 2048 * size, bytes.count)
            var sum: Int128 = 0
            var small: Int64 = 0
            for at in stride(from: start, to: end, by: size) {
                let value = bytes.loadUnaligned(fromByteOffset: at, as: T.self)
                minimum = min(minimum, value)
                maximum = max(maximum, value)
                // As many numbers of 32 bits fit in 64.
                if T.bitWidth <= 32 {
                    small &+= Int64(truncatingIfNeeded: value)
                } else {
                    sum &+= Int128(value)
                }
            }
            sum += Int128(small)
            self.sum &+= sum
            let count = (end - start) / size
            let origin = self.origin ?? T(truncatingIfNeeded: sum / Int128(count))
            self.origin = origin
            moments.add(count: count) { index in
                let value = bytes.loadUnaligned(fromByteOffset: start + index * size, as: T.self)
                let (distance, overflow) = value.subtractingReportingOverflow(origin)
                return overflow ? Double(value) - Double(origin) : Double(distance)
            }
        }
    }

    var result: Statistics {
        guard moments.count > 0 else { return Statistics() }
        return Statistics(
            count: moments.count, minimum: isBool ? .bool(minimum != 0) : .integer(Int128(minimum)),
            maximum: isBool ? .bool(maximum != 0) : .integer(Int128(maximum)), sum: .integer(sum),
            mean: Double(sum) / Double(moments.count), standardDeviation: moments.standardDeviation)
    }
}

/// Floating point numbers. As in NumPy one NaN makes every result NaN.
struct FloatStatistics<T: BinaryFloatingPoint & BitwiseCopyable>: StatisticsCollector {
    private var moments = Moments()
    private var minimum = T.infinity
    private var maximum = -T.infinity
    private var hasNaN = false
    private var sum = 0.0
    /// What rounding took from the sum (Neumaier).
    private var lost = 0.0
    /// Near the items: distances from it are small where the items are close together.
    private var origin: Double?

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let size = MemoryLayout<T>.size
        // A group stays in the processor's cache between the loops.
        for start in stride(from: 0, to: bytes.count, by: 512 * size) {
            let end = min(start + 512 * size, bytes.count)
            var sum = 0.0
            for at in stride(from: start, to: end, by: size) {
                let value = bytes.loadUnaligned(fromByteOffset: at, as: T.self)
                if value < minimum { minimum = value }
                if value > maximum { maximum = value }
                sum += Double(value)
            }
            // Infinities of both signs make a NaN as well.
            if sum.isNaN, !hasNaN {
                for at in stride(from: start, to: end, by: size)
                where bytes.loadUnaligned(fromByteOffset: at, as: T.self).isNaN { hasNaN = true }
            }
            let count = (end - start) / size
            let mean = sum / Double(count)
            let origin = self.origin ?? (mean.isFinite ? mean : 0)
            self.origin = origin
            moments.add(count: count) { index in
                Double(bytes.loadUnaligned(fromByteOffset: start + index * size, as: T.self)) - origin
            }
            let total = self.sum + sum
            lost += self.sum.magnitude >= sum.magnitude ? (self.sum - total) + sum : (sum - total) + self.sum
            self.sum = total
        }
    }

    var result: Statistics {
        var result = Statistics()
        result.sum = .real(0)
        result.count = moments.count
        if moments.count == 0 { return result }
        result.minimum = .real(hasNaN ? .nan : Double(minimum))
        result.maximum = .real(hasNaN ? .nan : Double(maximum))
        let sum = self.sum.isFinite ? self.sum + lost : self.sum
        result.sum = .real(sum)
        result.mean = sum / Double(moments.count)
        result.standardDeviation = moments.standardDeviation
        return result
    }
}
