import BenchReport
import CKernels
import Foundation

/// The benchmark by which this kind of database judges block formats: small changes of an
/// array of Int64, each one commit; then the file's size, and what it costs to touch a block.
enum BlockFormat {
    enum Case: String, CaseIterable {
        case append, random, whole, mixed
    }

    static let perBlock = RawLMDB.blockBytes / 8
    /// Elements of the array that the random cases change.
    static let count = 1_000_000

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        try Case.allCases.map { name in
            let path = setup.folder + "/zblkfmt-\(system)-\(name.rawValue)"
            if setup.phase == "touch" {
                PageCache.warm(path)
                let found = try touch(system, path)
                removeFile(path)
                return Measurement(
                    system, "zblkfmt", seconds: found.all, params: ["case": .text(name.rawValue)],
                    extra: [
                        "ms_per_block": .number(
                            (found.all - found.first) / Double(max(found.blocks - 1, 1)) * 1000),
                        "ms_first_block": .number(found.first * 1000),
                    ])
            }
            removeFile(path)
            let changes = Self.changes(name, setup.transactions)
            let seconds = try write(system, path, name, changes)
            return Measurement(
                system, "zblkfmt", seconds: seconds, bytes: changes.reduce(0) { $0 + $1.count * 8 },
                operations: changes.count, params: ["case": .text(name.rawValue)],
                extra: ["file_bytes": .number(Double(fileSize(path)))])
        }
    }

    /// The elements that each transaction stores; always the same.
    static func changes(_ name: Case, _ transactions: Int) -> [Range<Int>] {
        var state = RandomRead.seed
        func random(_ limit: Int) -> Int { Int(kernels_next(&state) % UInt64(limit)) }
        let small = Int(0.2 * Double(perBlock))
        return (0..<transactions).map { number in
            if name == .append {
                let part = Int(0.014 * Double(perBlock))
                return (number * part)..<((number + 1) * part)
            }
            let block = random((count + perBlock - 1) / perBlock)
            let start = block * perBlock
            let end = min(start + perBlock, count)
            if name == .whole || (name == .mixed && random(2) == 1) { return start..<end }
            let first = start + random(end - start - small + 1)
            return first..<(first + small)
        }
    }

    /// Random numbers from 1 to 1000; each change takes some of them, from another place on.
    static func pool() -> [Int64] {
        var state = RandomRead.seed
        return (0..<(2 * perBlock)).map { _ in Int64(kernels_next(&state) % 1000) + 1 }
    }

    private static func write(_ system: String, _ path: String, _ name: Case, _ changes: [Range<Int>]) throws
        -> Double
    {
        let store: any BlockFormatStore =
            switch system {
            case "raw-lmdb": try LMDBFormatStore(path)
            case "plain-mmap": try PlainFormatStore(path)
            default: try DatabaseFormatStore(path, Seam.configuration(system), isAppended: name == .append)
            }
        let pool = Self.pool()
        if name != .append {
            try pool.withUnsafeBytes { bytes in
                for start in stride(from: 0, to: count, by: perBlock) {
                    let part = min(perBlock, count - start)
                    try store.commit(UnsafeRawBufferPointer(rebasing: bytes[..<(part * 8)]), at: start)
                }
            }
        }
        let (_, seconds) = try timed {
            try pool.withUnsafeBytes { bytes in
                for (number, change) in changes.enumerated() {
                    let from = number * 97 % perBlock * 8
                    let values = UnsafeRawBufferPointer(rebasing: bytes[from..<(from + change.count * 8)])
                    try store.commit(values, at: change.lowerBound)
                }
            }
        }
        try store.close()
        return seconds
    }

    /// One element of each block, the blocks in random order: seconds for all, and for the first,
    /// which no other read of the process comes before.
    private static func touch(_ system: String, _ path: String) throws -> (
        blocks: Int, all: Double, first: Double
    ) {
        func order(_ count: Int) -> [Int] {
            var state = RandomRead.seed
            var order = Array(0..<((count + perBlock - 1) / perBlock))
            for index in order.indices.reversed() {
                order.swapAt(index, Int(kernels_next(&state) % UInt64(index + 1)))
            }
            return order
        }
        func measure(_ count: Int, _ element: (Int) throws -> Int64) throws -> (Int, Double, Double) {
            let blocks = order(count)
            var sum: Int64 = 0
            let start = now()
            sum += try element(blocks[0] * perBlock)
            let first = now() - start
            for block in blocks.dropFirst() { sum += try element(block * perBlock) }
            let all = now() - start
            // The numbers are from 1 to 1000; zeros would be somebody else's blocks.
            guard sum >= blocks.count else { throw BenchError("\(system) lost what was written") }
            return (blocks.count, all, first)
        }
        switch system {
        case "raw-lmdb": return try LMDBFormatStore.reading(path, measure)
        case "plain-mmap": return try PlainFormatStore.reading(path, measure)
        default: return try DatabaseFormatStore.reading(path, measure)
        }
    }
}
