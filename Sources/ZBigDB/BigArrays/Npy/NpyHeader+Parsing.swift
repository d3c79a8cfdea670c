extension NpyHeader {
    /// The number of bytes of the whole header, which is also where the items start.
    ///
    /// `prefix` holds the first ``prefixLength`` bytes of the file, or more.
    ///
    /// - Throws: ``ArrayError/invalidNpy(reason:)`` for other kinds of files,
    ///   ``ArrayError/truncatedNpy(needed:available:)`` when there are too few bytes.
    public static func headerLength(prefix: some Collection<UInt8>) throws(ArrayError) -> Int {
        let bytes = Array(prefix.prefix(prefixLength))
        let start = bytes.prefix(magic.count)
        guard magic.starts(with: start) else {
            let zip = bytes.starts(with: [0x50, 0x4B, 0x03, 0x04])
            throw .invalidNpy(
                reason: zip
                    ? "it is a zip archive: unpack the .npy files in it first"
                    : "it does not start with the bytes \\x93NUMPY")
        }
        guard bytes.count >= 8 else { throw .truncatedNpy(needed: prefixLength, available: bytes.count) }
        guard (1...3).contains(bytes[6]), bytes[7] == 0 else {
            throw .invalidNpy(reason: "format version \(bytes[6]).\(bytes[7]) is not 1.0, 2.0 or 3.0")
        }
        let end = bytes[6] == 1 ? 10 : 12
        guard bytes.count >= end else { throw .truncatedNpy(needed: end, available: bytes.count) }
        var length = end
        for (index, byte) in bytes[8..<end].enumerated() { length += Int(byte) << (8 * index) }
        guard length <= maximumLength else {
            throw .invalidNpy(reason: "a header of \(length) bytes is longer than \(maximumLength) bytes")
        }
        return length
    }

    /// Reads the header at the start of `bytes`; more bytes may follow.
    ///
    /// - Throws: ``ArrayError/truncatedNpy(needed:available:)``, ``ArrayError/invalidNpy(reason:)``,
    ///   or an error about the element type or the shape in the header.
    public init(parsing bytes: some Collection<UInt8>) throws(ArrayError) {
        let length = try NpyHeader.headerLength(prefix: bytes)
        let header = Array(bytes.prefix(length))
        guard header.count == length else {
            throw .truncatedNpy(needed: length, available: header.count)
        }
        let version = header[6]
        let values = try NpyHeader.values(header[(version == 1 ? 10 : 12)...], version: version)
        let shape = try NpyHeader.shape(values.shape)
        guard case .bool(let fortran) = values.order else {
            throw .invalidNpy(reason: "'fortran_order' is \(values.order.text), not True or False")
        }
        let (dtype, plan) = try DType.parse(values.descr)
        let order: Order = fortran ? .fortran : .c
        // The sizes must be exact, and so must everything that is computed from them later.
        _ = try StridedLayout(shape: shape, itemSize: dtype.itemSize, order: order)
        self.init(
            version: version, dtype: dtype, order: order, shape: shape, dataOffset: length,
            byteSwap: ByteSwap(dtype, plan: plan))
    }

    /// The three entries of the dictionary, in any order.
    private static func values(
        _ bytes: ArraySlice<UInt8>, version: UInt8
    ) throws(ArrayError) -> (descr: PythonLiteral, order: PythonLiteral, shape: PythonLiteral) {
        var values: [String: PythonLiteral] = [:]
        guard case .dictionary(let entries) = try literal(bytes, version: version) else {
            throw .invalidNpy(reason: "the header is not a dictionary")
        }
        for entry in entries {
            guard case .string(let key) = entry.key, ["descr", "fortran_order", "shape"].contains(key)
            else {
                throw .invalidNpy(reason: "the header has an unknown entry \(entry.key.text)")
            }
            guard values.updateValue(entry.value, forKey: key) == nil else {
                throw .invalidNpy(reason: "the header has two entries '\(key)'")
            }
        }
        guard let descr = values["descr"], let order = values["fortran_order"], let shape = values["shape"]
        else {
            throw .invalidNpy(reason: "the header needs the entries 'descr', 'fortran_order' and 'shape'")
        }
        return (descr, order, shape)
    }

    private static func literal(
        _ bytes: ArraySlice<UInt8>, version: UInt8
    ) throws(ArrayError) -> PythonLiteral {
        do {
            if version < 3 {
                return try PythonLiteralParser.parse(bytes.lazy.map { Unicode.Scalar($0) })
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ArrayError.invalidNpy(reason: "the header is not UTF-8")
            }
            return try PythonLiteralParser.parse(text.unicodeScalars)
        } catch let failure as PythonLiteralParser.Failure {
            throw .invalidNpy(
                reason: "the header cannot be read at position \(failure.position): \(failure.reason)")
        } catch let error as ArrayError {
            throw error
        } catch {
            preconditionFailure("no other error is thrown")
        }
    }

    private static func shape(_ literal: PythonLiteral) throws(ArrayError) -> [Int] {
        var shape: [Int] = []
        guard case .tuple(let lengths) = literal else {
            throw .invalidNpy(reason: "'shape' is \(literal.text), not a tuple of integers")
        }
        for item in lengths {
            guard case .int(let length) = item else {
                throw .invalidNpy(reason: "'shape' is \(literal.text), not a tuple of integers")
            }
            shape.append(length)
        }
        return shape
    }
}
