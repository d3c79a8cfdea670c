/// Reads the items of a file of exported objects, front to back.
struct ExportReader {
    private static let chunk = 1 << 20

    private let file: InputFile
    private var buffer: [UInt8] = []
    private var position = 0
    /// Where in the file the next item begins.
    private(set) var offset = 0
    /// Where the item before that begins, for messages.
    private var lastOffset = 0
    /// Of all bytes before the next item.
    private(set) var checksum: UInt32 = 0

    init(_ path: String) throws { file = try InputFile(path) }

    var path: String { file.path }

    /// The next item; nil at the end of the file.
    mutating func next() throws -> ExportItem? {
        let before = offset
        guard let body = try nextBody() else { return nil }
        lastOffset = before
        do {
            return try ExportItem(decoding: body)
        } catch {
            if before == 0 { throw firstError(body) }
            throw damaged(error.description)
        }
    }

    /// Why the item that was read last cannot be right.
    func damaged(_ reason: String) -> ExportError { .damaged(path: path, byte: lastOffset, reason: reason) }

    private func firstError(_ body: [UInt8]) -> ExportError {
        guard let found = ExportItem.version(of: body) else { return .notAnExport(path: path) }
        return found == ExportItem.version
            ? .damaged(path: path, byte: 0, reason: "the names cannot be read")
            : .unsupportedVersion(path: path, found: found, supported: ExportItem.version)
    }

    private mutating func nextBody() throws -> [UInt8]? {
        if file.count == 0 { throw ExportError.notAnExport(path: path) }
        var extent = try headExtent()
        while extent == nil {
            let left = buffer.count - position
            guard try fill(left + Self.chunk) > left else {
                if left == 0, offset > 0 { return nil }
                throw offset == 0 ? ExportError.notAnExport(path: path) : .truncated(path: path)
            }
            extent = try headExtent()
        }
        guard let (head, length) = extent else { return nil }
        // A length that cannot be is not read.
        guard length <= UInt64(max(0, file.count - offset - head)) else {
            throw offset == 0 ? ExportError.notAnExport(path: path) : .truncated(path: path)
        }
        let size = head + Int(length)
        guard try fill(size) >= size else { throw ExportError.truncated(path: path) }
        let item = buffer[position..<(position + size)]
        checksum = CRC32C.checksum(item, seed: checksum)
        position += size
        offset += size
        return Array(item.dropFirst(head))
    }

    private func headExtent() throws -> (head: Int, body: UInt64)? {
        do {
            return try ExportItem.extent(buffer, at: position)
        } catch {
            throw offset == 0
                ? ExportError.notAnExport(path: path)
                : .damaged(path: path, byte: offset, reason: error.description)
        }
    }

    /// Reads on until there are so many bytes, or the file ends. Returns how many there are.
    private mutating func fill(_ wish: Int) throws -> Int {
        if buffer.count - position >= wish { return buffer.count - position }
        buffer.removeFirst(position)
        position = 0
        while buffer.count < wish {
            let more = try file.read(max(Self.chunk, wish - buffer.count))
            if more.isEmpty { break }
            buffer += more
        }
        return buffer.count
    }
}
