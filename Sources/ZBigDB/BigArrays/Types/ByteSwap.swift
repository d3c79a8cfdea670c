/// How to turn the items of a big-endian file into little-endian ones, in place.
///
/// Fields of a record are turned one by one, so a record may hold fields of both
/// byte orders; the characters of a UCS-4 string are turned as numbers of 4 bytes.
public struct ByteSwap: Hashable, Sendable {
    /// The size of one item in bytes.
    public let itemSize: Int
    let plan: Plan

    /// A swap of every number in items of this type.
    public init(_ dtype: DType) {
        self.init(dtype, plan: Plan(dtype))
    }

    init(_ dtype: DType, plan: Plan) {
        self.itemSize = dtype.itemSize
        self.plan = plan
    }

    /// True when the bytes stay as they are.
    public var isIdentity: Bool { plan == .identity }

    /// Swaps the items in `bytes`, which must hold whole items; they need no alignment.
    ///
    /// - Complexity: O(n) in the number of bytes.
    public func swap(_ bytes: inout MutableRawSpan) {
        unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe swap(buffer)
        }
    }

    /// Swaps the items in `bytes`, which must hold whole items; they need no alignment.
    ///
    /// - Complexity: O(n) in the number of bytes.
    public func swap(_ bytes: UnsafeMutableRawBufferPointer) {
        guard plan != .identity, bytes.count > 0 else { return }
        precondition(bytes.count.isMultiple(of: itemSize), "swap whole items only")
        unsafe plan.apply(to: bytes)
    }
}

extension ByteSwap {
    /// What to do with the bytes of one item. It also tells which fields are big endian in a file,
    /// so even a field without bytes has its own plan.
    enum Plan: Hashable, Sendable {
        case identity
        /// Numbers of this many bytes, as many as there are.
        case words(Int)
        /// A record: one entry for each field, in order.
        case record(itemSize: Int, fields: [FieldPlan])

        init(_ dtype: DType) {
            if case .record(let record) = dtype {
                self.init(record: record, fields: record.fields.map { Plan($0.dtype) })
            } else {
                self = dtype.wordSize.map(Plan.words) ?? .identity
            }
        }

        init(record: DType.Record, fields plans: [Plan]) {
            let fields = zip(record.fields, plans).map { field, plan in
                // Checked when the record was made: a field's size is exact.
                FieldPlan(offset: field.offset, byteCount: (try? field.byteCount()) ?? 0, plan: plan)
            }
            let swaps = fields.contains { $0.plan != .identity }
            self = swaps ? .record(itemSize: record.itemSize, fields: fields) : .identity
        }

        func apply(to bytes: UnsafeMutableRawBufferPointer) {
            switch self {
            case .identity: break
            case .words(2): unsafe Plan.swapWords(UInt16.self, bytes)
            case .words(4): unsafe Plan.swapWords(UInt32.self, bytes)
            case .words: unsafe Plan.swapWords(UInt64.self, bytes)
            case .record(let itemSize, let fields):
                for start in stride(from: 0, to: bytes.count, by: itemSize) {
                    for field in fields where field.plan != .identity && field.byteCount > 0 {
                        let first = start + field.offset
                        let part = first..<first + field.byteCount
                        unsafe field.plan.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[part]))
                    }
                }
            }
        }

        private static func swapWords<Word: FixedWidthInteger & BitwiseCopyable>(
            _: Word.Type, _ bytes: UnsafeMutableRawBufferPointer
        ) {
            for at in stride(from: 0, to: bytes.count, by: MemoryLayout<Word>.size) {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: at, as: Word.self)
                unsafe bytes.storeBytes(of: word.byteSwapped, toByteOffset: at, as: Word.self)
            }
        }
    }

    /// What to do with one field of a record.
    struct FieldPlan: Hashable, Sendable {
        let offset: Int
        let byteCount: Int
        let plan: Plan
    }
}
