import Foundation
import ZBigDB

/// What the block format benchmark is run on.
protocol BlockFormatStore {
    typealias Touch = (Int, (Int) throws -> Int64) throws -> (Int, Double, Double)

    /// Stores elements, durably.
    func commit(_ bytes: UnsafeRawBufferPointer, at element: Int) throws
    func close() throws
    /// Opens the file in another process, and calls `body` with the number of elements and a
    /// function that reads one.
    static func reading(_ path: String, _ body: Touch) throws -> (Int, Double, Double)
}

/// An array in a database.
struct DatabaseFormatStore: BlockFormatStore {
    private let database: Database
    private let connection: Connection
    private let array: BigArray
    private let isAppended: Bool

    init(_ path: String, _ configuration: Database.Configuration, isAppended: Bool) throws {
        database = try Database(path, create: true, configuration: configuration)
        connection = try database.connect()
        array = try connection.createArray(
            "a", shape: [isAppended ? 0 : BlockFormat.count], of: Int64.self)
        try connection.commit()
        self.isAppended = isAppended
    }

    func commit(_ bytes: UnsafeRawBufferPointer, at element: Int) throws {
        if isAppended {
            try array.append(bytes: bytes)
        } else {
            try array.withUnsafeMutableBytes(of: (element * 8)..<(element * 8 + bytes.count)) {
                $0.copyMemory(from: bytes)
            }
        }
        try connection.commit()
    }

    func close() throws {
        try connection.close()
        try database.close()
    }

    static func reading(_ path: String, _ body: Touch) throws -> (Int, Double, Double) {
        let database = try Database(path)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        // Making the view is a part of the first read: it may map blocks ahead.
        var view: ArrayView<Int64>?
        let result = try body(array.byteCount / 8) { element in
            if let view { return view[element] }
            let made = try array.view(as: Int64.self)
            view = made
            return made[element]
        }
        try connection.close()
        return result
    }
}

/// Values of 2 MiB, each rewritten as a whole.
struct LMDBFormatStore: BlockFormatStore {
    private let lmdb: RawLMDB

    init(_ path: String) throws { lmdb = try RawLMDB(path, create: true) }

    func commit(_ bytes: UnsafeRawBufferPointer, at element: Int) throws {
        try lmdb.transaction(write: true) { txn in
            var done = 0
            while done < bytes.count {
                let place = element * 8 + done
                let (block, offset) = place.quotientAndRemainder(dividingBy: RawLMDB.blockBytes)
                let part = min(bytes.count - done, RawLMDB.blockBytes - offset)
                let source = UnsafeRawBufferPointer(rebasing: bytes[done..<(done + part)])
                try lmdb.rewrite(txn, block) { target in
                    UnsafeMutableRawBufferPointer(start: target + offset, count: part)
                        .copyMemory(from: source)
                }
                done += part
            }
        }
    }

    func close() {}

    static func reading(_ path: String, _ body: Touch) throws -> (Int, Double, Double) {
        let lmdb = try RawLMDB(path)
        return try lmdb.transaction(write: false) { txn in
            let blocks = try lmdb.count(txn)
            return try body(blocks * BlockFormat.perBlock) { element in
                try lmdb.get(txn, element / BlockFormat.perBlock)
                    .loadUnaligned(fromByteOffset: element % BlockFormat.perBlock * 8, as: Int64.self)
            }
        }
    }
}

/// A plain file, written with `pwrite` and read through a mapping.
struct PlainFormatStore: BlockFormatStore {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw BenchError("cannot create \(path)") }
    }

    func commit(_ bytes: UnsafeRawBufferPointer, at element: Int) throws {
        guard pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(element * 8)) == bytes.count,
            fdatasync(descriptor) == 0
        else { throw BenchError("cannot write") }
    }

    func close() { _ = Foundation.close(descriptor) }

    static func reading(_ path: String, _ body: Touch) throws -> (Int, Double, Double) {
        try PlainFile.withElements(path) { elements, count in
            let numbers = UnsafeRawPointer(elements)
            return try body(count) { numbers.load(fromByteOffset: $0 * 8, as: Int64.self) }
        }
    }
}
