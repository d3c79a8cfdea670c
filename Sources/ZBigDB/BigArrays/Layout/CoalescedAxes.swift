/// The axes of two layouts of the same shape, with as few axes as possible.
///
/// Axes of length 1 are gone, and neighbours that can be walked with one stride
/// in both layouts are one axis, so that the innermost loop is as long as it can be.
@usableFromInline
struct CoalescedAxes {
    @usableFromInline let shape: [Int]
    @usableFromInline let first: [Int]
    @usableFromInline let second: [Int]

    @usableFromInline
    init(shape: [Int], first: [Int], second: [Int]) {
        var lengths: [Int] = []
        var ones: [Int] = []
        var twos: [Int] = []
        for axis in shape.indices where shape[axis] != 1 {
            if let last = lengths.indices.last,
                Self.spans(ones[last], shape[axis], first[axis]),
                Self.spans(twos[last], shape[axis], second[axis])
            {
                lengths[last] *= shape[axis]
                ones[last] = first[axis]
                twos[last] = second[axis]
            } else {
                lengths.append(shape[axis])
                ones.append(first[axis])
                twos.append(second[axis])
            }
        }
        self.shape = lengths
        self.first = ones
        self.second = twos
    }

    /// True when one step of an outer axis is as far as `length` steps of an inner one.
    private static func spans(_ outer: Int, _ length: Int, _ inner: Int) -> Bool {
        let (distance, overflow) = inner.multipliedReportingOverflow(by: length)
        return !overflow && distance == outer
    }
}
