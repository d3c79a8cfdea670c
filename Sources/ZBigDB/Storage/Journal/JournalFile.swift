#if canImport(Glibc)
    internal import Glibc
#endif

/// The file `NAME-journal`: two headers, then entries one after the other.
///
/// It has its full length from the start and is only overwritten, so that a
/// write has nothing else to wait for than its own bytes: descriptors are
/// opened with O_DSYNC. Every entry begins on a page of its own, so that writing one
/// never touches another that is needed.
final class JournalFile: Sendable {
    static let size = 4 << 20
    static let page = 4096
    /// Where the entries begin, behind the headers.
    static let firstEntry = 2 * page
    private static let frame = 4 + 8 + 8 + 4

    let path: String
    private let descriptor: Int32

    static func path(of database: String) -> String { database + "-journal" }

    /// Opens it; nil if it is not there and not to be made.
    init?(_ path: String, create: Bool, isReadOnly: Bool = false) throws(StorageError) {
        self.path = path
        let flags = (isReadOnly ? O_RDONLY : O_RDWR | O_DSYNC) | O_CLOEXEC
        var descriptor = unsafe open(path, flags)
        if descriptor < 0, errno == ENOENT {
            if !create { return nil }
            descriptor = try Self.make(path, flags)
        }
        guard descriptor >= 0 else { throw LMDBCode.error(errno, path, "opening the journal") }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Makes a journal of full length under another name first: one that is there is complete.
    private static func make(_ path: String, _ flags: Int32) throws(StorageError) -> Int32 {
        let draft = path + ".new"
        let descriptor = unsafe open(draft, flags & ~O_DSYNC | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw LMDBCode.error(errno, draft, "making the journal") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: size)
        do throws(StorageError) {
            try write(zeros, at: 0, to: descriptor, draft)
            guard fsync(descriptor) == 0, unsafe rename(draft, path) == 0 else {
                throw LMDBCode.error(errno, draft, "making the journal")
            }
        } catch {
            unsafe unlink(draft)
            throw error
        }
        flushFolder(of: path)
        return unsafe open(path, flags)
    }

    private static func write(_ bytes: [UInt8], at offset: Int, to descriptor: Int32, _ path: String)
        throws(StorageError)
    {
        guard writeWhole(bytes, at: offset, to: descriptor) else {
            throw LMDBCode.error(errno, path, "writing the journal")
        }
    }

    private func read(_ count: Int, at offset: Int) throws(StorageError) -> [UInt8] {
        guard let bytes = readWhole(count, at: offset, from: descriptor) else {
            throw LMDBCode.error(errno, path, "reading the journal")
        }
        return bytes
    }

    // MARK: Headers

    /// The header that counts; nil if none was written yet.
    func header() throws(StorageError) -> JournalHeader? {
        let bytes = try read(Self.firstEntry, at: 0)
        let headers = [0, Self.page].compactMap { start in
            bytes.count < start + Self.page
                ? nil : try? JournalHeader(decoding: Array(bytes[start..<(start + Self.page)]))
        }
        return headers.max { $0.sequence < $1.sequence }
    }

    /// Whether a header with a greater number may have been written; a look that costs next to nothing.
    func mayHaveHeader(after sequence: UInt64) throws(StorageError) -> Bool {
        let start = try read(JournalHeader.beginning, at: Int((sequence + 1) % 2) * Self.page)
        return JournalHeader.sequence(in: start).map { $0 > sequence } ?? true
    }

    /// Writes a header over the older of the two. Durable when it returns.
    func write(_ header: JournalHeader) throws(StorageError) {
        let bytes = header.encoded()
        let padding = [UInt8](repeating: 0, count: Self.page - bytes.count)
        try Self.write(bytes + padding, at: Int(header.sequence % 2) * Self.page, to: descriptor, path)
    }

    // MARK: Entries

    /// The bytes that an entry takes.
    static func framedSize(_ count: Int) -> Int { (frame + count + page - 1) / page * page }

    /// An entry as it is written.
    static func framed(_ entry: [UInt8], sequence: UInt64, at offset: Int) -> [UInt8] {
        var body = ByteWriter()
        body.integer(sequence)
        body.integer(UInt64(offset))
        body.integer(UInt32(entry.count))
        body.raw(entry)
        var writer = ByteWriter()
        writer.integer(CRC32C.checksum(body.bytes))
        writer.raw(body.bytes)
        writer.raw(repeatElement(0, count: framedSize(entry.count) - writer.bytes.count))
        return writer.bytes
    }

    /// Writes framed entries. Durable when it returns.
    func write(entries: [UInt8], at offset: Int) throws(StorageError) {
        try Self.write(entries, at: offset, to: descriptor, path)
    }

    /// The entries after the header with this sequence number, up to the first that is not whole.
    func entries(_ sequence: UInt64) throws(StorageError) -> [JournalEntry] {
        let bytes = try read(Self.size - Self.firstEntry, at: Self.firstEntry)
        var entries: [JournalEntry] = []
        var at = 0
        while let entry = try? Self.entry(bytes, at, sequence) {
            entries.append(entry.0)
            at += entry.size
        }
        return entries
    }

    private static func entry(_ bytes: [UInt8], _ at: Int, _ sequence: UInt64) throws(ByteReader.Malformed)
        -> (JournalEntry, size: Int)
    {
        var reader = ByteReader(bytes, at: at)
        let checksum = try reader.integer(UInt32.self)
        let start = reader.position
        guard try reader.integer(UInt64.self) == sequence,
            try reader.integer(UInt64.self) == UInt64(firstEntry + at)
        else { throw ByteReader.Malformed() }
        let entry = try reader.raw(Int(try reader.integer(UInt32.self)))
        guard CRC32C.checksum(bytes[start..<reader.position]) == checksum else {
            throw ByteReader.Malformed()
        }
        return (try JournalEntry(decoding: entry), framedSize(entry.count))
    }
}
