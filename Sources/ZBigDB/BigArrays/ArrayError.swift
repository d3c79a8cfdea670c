/// Why an operation on an array, an element type or an `.npy` file was refused.
public enum ArrayError: Error, Equatable, Sendable {
    /// An integer index lies outside its axis.
    case indexOutOfRange(axis: Int, index: Int, length: Int)
    /// An index expression names more axes than the array has.
    case tooManyIndices(given: Int, rank: Int)
    /// An index expression has more than one ellipsis.
    case multipleEllipses
    /// A slice has step 0.
    case zeroStep
    /// NumPy has this element type, this database does not.
    case unsupportedDType(String)
    /// An element type holds references to Python objects.
    case objectDType
    /// Text or a record that does not describe an element type.
    case invalidDType(String, reason: String)
    /// A record has no field of this name.
    case noSuchField(String, available: [String])
    /// Two element types had to be equal.
    case dtypeMismatch(expected: DType, actual: DType)
    /// Two shapes had to be equal.
    case shapeMismatch(expected: [Int], actual: [Int])
    /// A shape cannot be stretched to another one.
    case notBroadcastable(from: [Int], to: [Int])
    /// A shape with a negative length or too many axes.
    case invalidShape([Int], reason: String)
    /// A size that does not fit in an `Int`.
    case sizeOverflow(shape: [Int], itemSize: Int)
    /// A layout that reaches outside of the bytes it describes.
    case layoutOutOfBounds(reason: String)
    /// A layout with gaps where one without was needed.
    case notContiguous
    /// Bytes that are not an `.npy` file.
    case invalidNpy(reason: String)
    /// An `.npy` file that ends too early.
    case truncatedNpy(needed: Int, available: Int)
    /// Index text that cannot be read; the position counts characters from 0.
    case invalidSlice(String, position: Int, reason: String)
}

extension ArrayError: CustomStringConvertible {
    /// What happened, and where it helps, what to do about it.
    public var description: String {
        switch self {
        case .indexOutOfRange(let axis, let index, 0):
            "index \(index) is out of range: axis \(axis) is empty"
        case .indexOutOfRange(let axis, let index, let length):
            "index \(index) is out of range for axis \(axis) of length \(length): "
                + "use \(-length) to \(length - 1)"
        case .tooManyIndices(let given, let rank):
            "\(given) indices for an array of \(rank) axes: leave out at least \(given - rank)"
        case .multipleEllipses:
            "an index can have only one ellipsis (...): write ':' for each of the other axes"
        case .zeroStep:
            "the step of a slice cannot be 0: use 1 for every item, -1 for reverse order"
        case .unsupportedDType(let name):
            "elements of type \(name) cannot be stored: convert the array to integers, floats, "
                + "booleans, strings or records of those first"
        case .objectDType:
            "arrays of object references cannot be stored: use a type with a fixed size"
        case .invalidDType(let text, let reason):
            "invalid element type \(text): \(reason)"
        case .noSuchField(let name, let available):
            "no field named '\(name)': the fields are \(available.joined(separator: ", "))"
        case .dtypeMismatch(let expected, let actual):
            "elements of type \(expected) are needed here, not \(actual)"
        case .shapeMismatch, .notBroadcastable, .invalidShape, .sizeOverflow, .layoutOutOfBounds,
            .notContiguous:
            shapeDescription
        case .invalidNpy(let reason):
            "not a readable .npy file: \(reason)"
        case .truncatedNpy(let needed, let available):
            "the .npy file ends too early: \(needed) bytes are needed, \(available) are there"
        case .invalidSlice(let text, let position, let reason):
            "invalid index '\(text)' at position \(position): \(reason)"
        }
    }

    private var shapeDescription: String {
        switch self {
        case .shapeMismatch(let expected, let actual):
            "the shape \(ArrayShape.text(expected)) is needed here, not \(ArrayShape.text(actual))"
        case .notBroadcastable(let from, let to):
            "the shape \(ArrayShape.text(from)) cannot be stretched to \(ArrayShape.text(to)): "
                + "each axis from the last on must have the same length or length 1"
        case .invalidShape(let shape, let reason):
            "invalid shape \(ArrayShape.text(shape)): \(reason)"
        case .sizeOverflow(let shape, let itemSize):
            "an array of shape \(ArrayShape.text(shape)) with \(itemSize)-byte items is larger than "
                + "the 2^63 - 1 bytes an array can have"
        case .layoutOutOfBounds(let reason):
            "the array layout does not fit: \(reason)"
        case .notContiguous:
            "the items do not lie one after another in memory: copy the view first"
        default:
            ""
        }
    }
}
