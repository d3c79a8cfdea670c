import Foundation

@testable import ZBigDB

/// An object of the serializability tests.
final class Cell: Persistent {
    @Persisted var value = 0
    override class var className: String { "test.Cell" }
}

/// Random transactions over objects, entries of a map and pages of an array, which note what they saw and did.
struct TraceWorkload: Codable, Sendable {
    var path: String
    /// Whose transactions these are; makes values unique.
    var number: Int
    var seed: UInt64
    var transactions: Int
    var mode = Mode.maps

    enum Mode: String, Codable, CaseIterable, Sendable {
        case maps
        case copies
        /// Memory for few changed blocks: the others are stored ahead of the commit.
        case tinyBudget
    }

    static let objects = 6
    static let entries = 12
    static let pages = 24
    private static let blocks = 8
    static let items =
        (0..<objects).map { Item.object($0) } + (0..<entries).map { Item.entry($0) }
        + (0..<pages).map { Item.page($0) }

    static func configuration(_ mode: Mode) -> Database.Configuration {
        var configuration = Database.Configuration.small
        configuration.durability = .none
        configuration.mapsBlocks = mode != .copies
        if mode == .tinyBudget { configuration.dirtyBudget = 2 * configuration.blockSize }
        return configuration
    }

    static func prepare(_ database: Database) throws {
        let connection = try database.connect()
        for number in 0..<objects { try connection.root.set("cell \(number)", Cell()) }
        try connection.root.set("map", PersistentMap<Int, Int>())
        let block = configuration(.maps).blockSize
        let array = try connection.createArray("array", shape: [blocks * block / 8], of: Int64.self)
        // Stored blocks from the start: new ones conflict as a whole.
        for page in 0..<(blocks * block / 4096) { try array.setElement(page * 512 + 511, to: Int64(1)) }
        try connection.commit()
        try connection.close()
    }

    func run(_ database: Database) throws -> [TransactionTrace] {
        let connection = try database.connect()
        var session = try Session(connection, number, CounterWorkload.Random(state: seed))
        let traces = try (0..<transactions).map { _ in try session.transaction() }
        try connection.close()
        return traces
    }

    /// What every item is now.
    static func state(_ database: Database) throws -> [Item: Int] {
        let connection = try database.connect()
        let session = try Session(connection, 0, CounterWorkload.Random(state: 0))
        let state = try Dictionary(uniqueKeysWithValues: items.map { ($0, try session.read($0)) })
        try connection.close()
        return state
    }
}

/// A connection and what it works on.
private struct Session {
    let connection: Connection
    let cells: [Cell]
    let map: PersistentMap<Int, Int>
    let array: BigArray
    let number: Int
    var random: CounterWorkload.Random
    var counter = 0

    init(_ connection: Connection, _ number: Int, _ random: CounterWorkload.Random) throws {
        self.connection = connection
        self.number = number
        self.random = random
        cells = try (0..<TraceWorkload.objects).compactMap {
            try connection.root.object("cell \($0)", as: Cell.self)
        }
        map = try connection.root.object("map", as: PersistentMap<Int, Int>.self) ?? PersistentMap()
        array = try connection.root.array("array")
    }

    func read(_ item: Item) throws -> Int {
        switch item {
        case .object(let number): return cells[number].value
        case .entry(let number): return try map[number] ?? 0
        case .page(let number): return Int(try array.element(element(number), as: Int64.self))
        }
    }

    func write(_ item: Item, _ value: Int) throws {
        switch item {
        case .object(let number): cells[number].value = value
        case .entry(let number) where value == 0: try map.removeValue(forKey: number)
        case .entry(let number): try map.updateValue(value, forKey: number)
        case .page(let number): try array.setElement(element(number), to: Int64(value))
        }
    }

    /// Three pages of each of the eight blocks.
    private func element(_ number: Int) -> Int { ((number % 8) * 16 + number / 8 * 5) * 512 + 7 }

    /// Runs one transaction to its end, whatever that is.
    mutating func transaction() throws -> TransactionTrace {
        try connection.begin()
        var trace = TransactionTrace(snapshot: try connection.tid.rawValue)
        var savepoints: [(Savepoint, TransactionTrace)] = []
        for _ in 0..<Int.random(in: 1...7, using: &random) {
            try step(&trace)
            if chance(6) {
                savepoints.append((try connection.transactionManager.current().savepoint(), trace))
            }
            if chance(8), let (savepoint, then) = savepoints.last {
                try savepoint.rollback()
                // What was read was read.
                (trace.writes, trace.relied) = (then.writes, then.relied)
            }
            if chance(20) { usleep(UInt32.random(in: 0...500, using: &random)) }
        }
        if chance(10) {
            try connection.abort()
            return trace
        }
        do {
            trace.tid = try connection.commit()?.rawValue
        } catch is ConflictError {
            try connection.abort()
        }
        return trace
    }

    private mutating func step(_ trace: inout TransactionTrace) throws {
        let item = TraceWorkload.items[Int.random(in: 0..<TraceWorkload.items.count, using: &random)]
        let value = try read(item)
        if let expected = trace.writes[item] ?? trace.reads[item] {
            if value != expected { trace.contradictions.append("\(item) is \(value) after \(expected)") }
        } else {
            trace.reads[item] = value
        }
        if case .object(let number) = item, chance(30) {
            try connection.readCurrent(cells[number])
            trace.relied.insert(item)
        }
        guard chance(50) else { return }
        counter += 1
        var new = number << 32 | counter
        if case .entry = item, chance(25) { new = 0 }
        // Removing nothing is no change.
        if new == 0, value == 0 { return }
        try write(item, new)
        trace.writes[item] = new
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }
}
