extension DType {
    /// One named field of a record.
    public struct Field: Hashable, Sendable {
        /// The name, unique in its record.
        public let name: String
        /// Where the field starts, in bytes from the start of the record.
        public let offset: Int
        /// The type of the field's items.
        public let dtype: DType
        /// The shape of the items in the field: empty for a single one, otherwise a small C-ordered array.
        public let shape: [Int]

        /// Creates a field; ``DType/Record/init(fields:itemSize:)`` checks it.
        public init(name: String, offset: Int, dtype: DType, shape: [Int] = []) {
            self.name = name
            self.offset = offset
            self.dtype = dtype
            self.shape = shape
        }

        /// The size of the field in bytes.
        ///
        /// - Throws: ``ArrayError/invalidShape(_:reason:)`` or ``ArrayError/sizeOverflow(shape:itemSize:)``.
        public func byteCount() throws(ArrayError) -> Int {
            try ArrayShape.byteCount(shape, itemSize: dtype.itemSize)
        }

        /// True when NumPy's text form would take this field for a gap between fields.
        var readsAsPadding: Bool {
            guard name.isEmpty else { return false }
            if case .raw = dtype { return true }
            return !shape.isEmpty
        }
    }

    /// The fields of a record type, in the order of their offsets and without overlap.
    public struct Record: Hashable, Sendable {
        /// The fields, first offset first.
        public let fields: [Field]
        /// The size of one record in bytes, gaps included.
        public let itemSize: Int

        /// Creates a record type.
        ///
        /// - Throws: ``ArrayError/invalidDType(_:reason:)`` when two fields have the same name, overlap,
        ///   are out of order or do not fit into `itemSize`.
        public init(fields: [Field], itemSize: Int) throws(ArrayError) {
            var end = 0
            var names: Set<String> = []
            for field in fields {
                guard names.insert(field.name).inserted else {
                    throw .invalidDType("record", reason: "two fields are named '\(field.name)'")
                }
                guard !field.readsAsPadding else {
                    throw .invalidDType("record", reason: "a field of raw bytes or an array needs a name")
                }
                guard field.offset >= end else {
                    throw .invalidDType(
                        "record", reason: "the field '\(field.name)' starts inside of the one before it")
                }
                let (next, overflow) = field.offset.addingReportingOverflow(try field.byteCount())
                guard !overflow, next <= itemSize else {
                    throw .invalidDType(
                        "record",
                        reason: "the field '\(field.name)' ends outside of the \(itemSize)-byte record")
                }
                end = next
            }
            guard itemSize >= end else {
                throw .invalidDType("record", reason: "the size \(itemSize) is negative")
            }
            self.fields = fields
            self.itemSize = itemSize
        }
    }
}
