import Testing

@testable import ZBigDB

@Suite("Undo against a model")
struct UndoModelTests {
    /// The versions of a record, oldest first: which transaction gave it which value; nil: none.
    private typealias Versions = [(step: Int, value: Int?)]

    private static let block = 4 * 4096

    private struct Model {
        var records: [String: Versions] = [:]
        /// The records each transaction changed.
        var changes: [[String]] = []

        func value(_ key: String) -> Int? { records[key]?.last?.value }

        mutating func commit(_ values: [String: Int?]) {
            for (key, value) in values { records[key, default: []].append((changes.count, value)) }
            changes.append(Array(values.keys))
        }

        /// What undoing would change; nil: a conflict.
        func undo(_ steps: [Int]) -> [String: Int?]? {
            var planned: [String: (step: Int?, value: Int?)] = [:]
            for step in steps.sorted(by: >) {
                for key in changes[step] {
                    guard let versions = records[key],
                        let index = versions.firstIndex(where: { $0.step == step })
                    else { continue }
                    let current = planned[key] ?? (versions.last?.step, versions.last?.value)
                    let before = index > 0 ? versions[index - 1] : nil
                    if current.step == step || current.value == versions[index].value {
                        planned[key] = (before?.step, before?.value)
                    } else if current.value != before?.value {
                        return nil
                    }
                }
            }
            return planned.filter { value($0.key) != $0.value.value }.mapValues(\.value)
        }
    }

    @Test(
        "H25 H29 random transactions, undos of random ones, packing and tags agree with versions kept in memory",
        arguments: 0..<4)
    func random(_ series: Int) throws {
        var random = ArrayRandom("UndoModelTests.random \(series)")
        var configuration = Database.Configuration.keepingHistory
        configuration.blockSize = Self.block
        configuration.durability = .none
        configuration.mapsBlocks = series % 2 == 0
        configuration.mapSize = 1 << 20
        if series > 1 { configuration.compression = .zstd }
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let map = PersistentMap<Int, Int>()
        try connection.root.set("map", map)
        let array = try connection.createArray("array", shape: [12 * Self.block], of: UInt8.self)
        try connection.commit()
        var model = Model()
        var tids: [TID] = []
        /// Everything up to this transaction is packed away.
        var packed = -1
        var tags: [Int] = []
        for step in 0..<150 {
            if step > 10, random.chance(6) {
                packed = max(packed, Int.random(in: max(0, tids.count - 10)..<tids.count, using: &random))
                #expect(try database.pack(before: .transaction(tids[packed])).start == tids[packed])
            }
            if step > 10, random.chance(6) {
                let index = Int.random(in: max(packed, 0)..<tids.count, using: &random)
                try database.addTag("\(tags.count)", at: .transaction(tids[index]))
                tags.append(index)
            }
            if step > 3, random.chance(40) {
                let count = random.chance(70) ? 1 : Int.random(in: 2...5, using: &random)
                let first = max(0, tids.count - Int.random(in: 1...12, using: &random))
                let steps = (0..<count).map { _ in Int.random(in: first..<tids.count, using: &random) }
                if steps.contains(where: { $0 <= packed }) {
                    #expect(throws: HistoryError.self) { try database.undo(steps.map { tids[$0] }) }
                    continue
                }
                guard let changes = model.undo(steps) else {
                    #expect(throws: UndoError.self) { try database.undo(steps.map { tids[$0] }) }
                    continue
                }
                let tid = try database.undo(steps.map { tids[$0] })
                #expect((tid == nil) == changes.isEmpty)
                if let tid {
                    tids.append(tid)
                    model.commit(changes)
                }
                try connection.begin()
            } else {
                var values: [String: Int?] = [:]
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let number = Int.random(in: 0..<8, using: &random)
                    if random.chance(50) {
                        let value = random.chance(70) ? Int.random(in: 0...2, using: &random) : nil
                        let key = "map \(number)"
                        // What changes nothing is no version.
                        if value == nil, values[key] ?? model.value(key) == nil { continue }
                        if let value {
                            try map.updateValue(value, forKey: number)
                        } else {
                            try map.removeValue(forKey: number)
                        }
                        values[key] = .some(value)
                        // Put in and taken out again, where there was nothing.
                        if value == nil, model.value(key) == nil { values[key] = nil }
                    } else {
                        // Whole blocks with one in between, each with a value of its own.
                        let value = step % 250 + 1
                        try array.setBytes(
                            UInt8(value),
                            in: (number / 2 * 3 * Self.block)..<((number / 2 * 3 + 1) * Self.block))
                        values["block \(number / 2 * 3)"] = .some(value)
                    }
                }
                if let tid = try connection.commit() {
                    tids.append(tid)
                    model.commit(values)
                }
            }
            for number in 0..<8 { #expect(try map[number] == model.value("map \(number)")) }
            #expect(try map.count == (0..<8).filter { model.value("map \($0)") != nil }.count)
            try array.withUnsafeBytes { bytes in
                for block in 0..<12 {
                    let expected = UInt8(model.value("block \(block)") ?? 0)
                    #expect(
                        bytes[block * Self.block] == expected
                            && bytes[(block + 1) * Self.block - 1] == expected)
                }
            }
        }
        #expect(try database.verify().problems == [])
        // Each moment that is kept is still what it was.
        let records = model.records
        for (step, tid) in tids.enumerated() {
            guard step >= packed || tags.contains(step) else {
                #expect(throws: HistoryError.self) { try database.connect(at: .transaction(tid)) }
                continue
            }
            try database.read(at: .transaction(tid)) { past in
                let map = try #require(try past.root.object("map", as: PersistentMap<Int, Int>.self))
                for number in 0..<8 {
                    let expected = records["map \(number)"]?.last { $0.step <= step }?.value
                    #expect(try map[number] == expected)
                }
            }
        }
    }
}
