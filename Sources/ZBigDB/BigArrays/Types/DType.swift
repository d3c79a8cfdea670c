/// The type of an array's items, with NumPy's meaning and little-endian bytes.
///
/// ```swift
/// let constants = try DType(descr: "[('name', '|S6'), ('value', '<f8')]")
/// constants.itemSize  // 14
/// ```
public enum DType: Hashable, Sendable {
    /// A signed integer of 1 byte.
    case int8
    /// A signed integer of 2 bytes.
    case int16
    /// A signed integer of 4 bytes.
    case int32
    /// A signed integer of 8 bytes.
    case int64
    /// An unsigned integer of 1 byte.
    case uint8
    /// An unsigned integer of 2 bytes.
    case uint16
    /// An unsigned integer of 4 bytes.
    case uint32
    /// An unsigned integer of 8 bytes.
    case uint64
    /// An IEEE 754 number of 2 bytes.
    case float16
    /// An IEEE 754 number of 4 bytes.
    case float32
    /// An IEEE 754 number of 8 bytes.
    case float64
    /// A truth value: one byte, 0 or 1.
    case bool
    /// A string of this many bytes, filled up with zero bytes (NumPy's `S`).
    case bytes(Int)
    /// A string of this many UCS-4 characters, filled up with zeros (NumPy's `U`).
    case unicode(Int)
    /// This many bytes without meaning (NumPy's `V`).
    case raw(Int)
    /// Several named fields side by side.
    case record(Record)

    /// The size of one item in bytes.
    public var itemSize: Int {
        switch self {
        case .int8, .uint8, .bool: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        case .bytes(let count), .raw(let count): count
        case .unicode(let count): count * 4
        case .record(let record): record.itemSize
        }
    }

    /// True for integers and floating point numbers; a truth value is not a number.
    public var isNumeric: Bool {
        switch self {
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: true
        case .float16, .float32, .float64: true
        case .bool, .bytes, .unicode, .raw, .record: false
        }
    }

    /// The fields of a record; empty for any other type.
    public var fields: [Field] {
        if case .record(let record) = self { record.fields } else { [] }
    }

    /// The field of this name.
    ///
    /// - Throws: ``ArrayError/noSuchField(_:available:)``.
    public func field(named name: String) throws(ArrayError) -> Field {
        guard let field = fields.first(where: { $0.name == name }) else {
            throw .noSuchField(name, available: fields.map(\.name))
        }
        return field
    }

    /// A record of fields without gaps between them, in the given order.
    ///
    /// - Throws: ``ArrayError/invalidDType(_:reason:)`` when two names are equal.
    public static func packed(_ fields: KeyValuePairs<String, DType>) throws(ArrayError) -> DType {
        var placed: [Field] = []
        var offset = 0
        for (name, dtype) in fields {
            placed.append(Field(name: name, offset: offset, dtype: dtype))
            offset += dtype.itemSize
        }
        return .record(try Record(fields: placed, itemSize: offset))
    }

    /// The size in bytes of the numbers that a change of byte order turns around, or nil.
    var wordSize: Int? {
        switch self {
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        case .unicode: 4
        case .int8, .uint8, .bool, .bytes, .raw, .record: nil
        }
    }
}
