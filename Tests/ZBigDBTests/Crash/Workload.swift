import Foundation
import Testing
import VirtMem

@testable import ZBigDB

#if canImport(Glibc)
    import Glibc
#endif

/// Transactions that can be recognised: number n writes n into a note, into
/// some blocks of an array, and on request into every block of a large one.
struct Workload: Codable, Sendable {
    enum Kind: String, Codable, CaseIterable, Sendable {
        /// A few blocks, within the commit.
        case small
        /// So much that blocks are written ahead of the commit.
        case bulk
        /// The same, changed block after block with a small dirty budget: most of it leaves memory
        /// before the commit begins. Half-way some of it is rolled back to a savepoint.
        case spilled
        /// With another participant, so that the vote is durable.
        case several
    }

    var path: String
    var kind: Kind
    /// Several workloads of one database have names of their own.
    var name = "w"

    static let blocks = 8
    static let block = Database.Configuration.small.blockSize
    static let bulkBytes = LMDBBlockWriter.mostKeptBytes + (2 << 20)
    private var acknowledgements: String { path + "." + name }

    var configuration: Database.Configuration {
        var configuration = Database.Configuration.small
        if kind == .spilled { configuration.dirtyBudget = 1 << 20 }
        return configuration
    }

    /// The blocks that transaction `number` writes.
    static func blocks(of number: Int) -> Set<Int> { [number % 8, (number + 3) % 8, 7] }

    /// Makes the database's objects, if they are not there.
    func prepare(_ database: Database) throws {
        let connection = try database.connect()
        guard try connection.root.object(name) == nil else { return try connection.close() }
        try connection.root.set(name, Note("0"))
        _ = try connection.createArray(name + ".array", shape: [Self.blocks * Self.block / 8], of: Int64.self)
        _ = try connection.createArray(name + ".bulk", shape: [Self.bulkBytes / 8], of: Int64.self)
        try connection.commit()
        try connection.close()
    }

    /// Commits until it is killed, or `count` times; acknowledges each commit that returned.
    func run(_ database: Database, count: Int = 1000) throws {
        let file = openAcknowledgements()
        let connection = try database.connect()
        let note = try connection.note(name)
        let array = try connection.root.array(name + ".array")
        let bulk = try connection.root.array(name + ".bulk")
        for _ in 0..<count {
            let number = try #require(Int(try note.text)) + 1
            try note.set("\(number)")
            for block in Self.blocks(of: number) {
                try array.setElement(block * Self.block / 8 + number % 100, to: Int64(number))
                try array.setElement(block * Self.block / 8, to: Int64(number))
            }
            if kind == .bulk {
                try bulk.withUnsafeMutableBytes { bytes in
                    // Every page, or only those changed would be stored.
                    for at in stride(from: 0, to: bytes.count, by: systemPageSize) {
                        bytes.storeBytes(of: Int64(number), toByteOffset: at, as: Int64.self)
                    }
                }
            }
            if kind == .spilled {
                let half = Self.bulkBytes / 2 / Self.block * Self.block
                try fill(bulk, 0..<half, with: number)
                let savepoint = try connection.transactionManager.current().savepoint()
                try fill(bulk, (half - 4 * Self.block)..<(half + 4 * Self.block), with: -1)
                try savepoint.rollback()
                try fill(bulk, half..<Self.bulkBytes, with: number)
            }
            if kind == .several { try connection.transactionManager.current().join(Recorder("~")) }
            try connection.commit(note: "\(name) \(number)")
            acknowledge(number, file)
        }
        close(file)
        try connection.close()
    }

    /// Changes every page of a range, block after block.
    private func fill(_ array: BigArray, _ range: Range<Int>, with number: Int) throws {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.block) {
            try array.withUnsafeMutableBytes(of: start..<(start + Self.block)) { bytes in
                for at in stride(from: 0, to: bytes.count, by: systemPageSize) {
                    bytes.storeBytes(of: Int64(number), toByteOffset: at, as: Int64.self)
                }
            }
        }
    }

    private func openAcknowledgements() -> Int32 {
        open(acknowledgements, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    }

    private func acknowledge(_ number: Int, _ file: Int32) {
        var line = Array("\(number)\n".utf8)
        guard write(file, &line, line.count) == line.count else { fatalError("cannot acknowledge") }
    }

    /// The last transaction whose commit returned.
    func lastAcknowledged() throws -> Int {
        guard let data = FileManager.default.contents(atPath: acknowledgements) else { return 0 }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").last.flatMap { Int($0) } ?? 0
    }

    /// The database holds exactly the acknowledged transactions, and perhaps the one
    /// that was under way, whole. Returns the last.
    @discardableResult
    func check(_ database: Database, decided: Bool? = nil) throws -> Int {
        let connection = try database.connect()
        let last = try #require(Int(try connection.note(name).text))
        let acknowledged = try lastAcknowledged()
        switch decided {
        case true?: #expect(last == acknowledged + 1)
        case false?: #expect(last == acknowledged)
        case nil: #expect(last == acknowledged || last == acknowledged + 1)
        }
        var heads = [Int64](repeating: 0, count: Self.blocks)
        for number in max(1, last - 20)...max(1, last) where number <= last {
            for block in Self.blocks(of: number) { heads[block] = Int64(number) }
        }
        let array = try connection.root.array(name + ".array")
        let found = try (0..<Self.blocks).map { try array.element($0 * Self.block / 8, as: Int64.self) }
        #expect(found == heads)
        if kind == .bulk || kind == .spilled, last > 0 {
            let bulk = try connection.root.array(name + ".bulk")
            let values = try bulk.withUnsafeBytes { bytes in
                let places = stride(from: 0, to: bytes.count, by: systemPageSize)
                return Set(places.map { bytes.load(fromByteOffset: $0, as: Int64.self) })
            }
            #expect(values == [Int64(last)])
        }
        try connection.close()
        // What was found counts from now on.
        let file = openAcknowledgements()
        acknowledge(last, file)
        close(file)
        return last
    }
}
