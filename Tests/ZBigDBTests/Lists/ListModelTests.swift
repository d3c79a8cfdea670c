import Testing

@testable import ZBigDB

@Suite("Lists against arrays", .timeLimit(.minutes(20)))
struct ListModelTests {
    /// Elements from one byte to several leaves' worth.
    enum Sizes: CaseIterable, Sendable {
        case small, mixed, large

        func text(_ number: Int, _ random: inout ArrayRandom) -> String {
            let length =
                switch self {
                case .small: Int.random(in: 0...8, using: &random)
                case .mixed: random.chance(5) ? Int.random(in: 0...6000, using: &random) : number % 100
                case .large: Int.random(in: 500...1500, using: &random)
                }
            return "\(number)" + String(repeating: "x", count: length)
        }
    }

    /// A list and what must be in it.
    private struct Pair {
        let list: PersistentList<String>
        var model: [String]
        let sizes: Sizes
        var number = 0

        mutating func texts(_ count: Int, _ random: inout ArrayRandom) -> [String] {
            number += 1
            return (0..<count).map { sizes.text(number + $0, &random) }
        }

        /// One change at random; larger lists shrink more often.
        mutating func change(_ random: inout ArrayRandom, most: Int) throws {
            let count = model.count
            let index = count == 0 ? 0 : Int.random(in: 0..<count, using: &random)
            let place = Int.random(in: 0...count, using: &random)
            switch Int.random(in: 0..<(count > most ? 26 : 20), using: &random) {
            case 0..<3:
                let text = texts(1, &random)[0]
                try list.append(text)
                model.append(text)
            case 3..<6:
                let text = texts(1, &random)[0]
                try list.insert(text, at: place)
                model.insert(text, at: place)
            case 6..<8:
                let text = texts(1, &random)[0]
                try list.insert(text, at: 0)
                model.insert(text, at: 0)
            case 8:
                let added = texts(Int.random(in: 0...600, using: &random), &random)
                try list.append(contentsOf: added)
                model += added
            case 9:
                let added = texts(Int.random(in: 0...600, using: &random), &random)
                try list.insert(contentsOf: added, at: place)
                model.insert(contentsOf: added, at: place)
            case 10..<13 where count > 0:
                let text = texts(1, &random)[0]
                try list.update(text, at: index)
                model[index] = text
            case 13..<15 where count > 0: #expect(try list.remove(at: index) == model.remove(at: index))
            case 15: #expect(try list.popLast() == model.popLast())
            case 16: #expect(try list.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            case 17 where count > 0:
                let end = Int.random(in: 0..<count, using: &random)
                try list.move(from: index, to: end)
                model.insert(model.remove(at: index), at: end)
            case 18...:
                let length = min(
                    count - place, Int.random(in: 0...(random.chance(10) ? count : 300), using: &random))
                try list.removeSubrange(place..<(place + length))
                model.removeSubrange(place..<(place + length))
            default: break
            }
        }

        func check(_ random: inout ArrayRandom) throws {
            #expect(try list.count == model.count && list.isEmpty == model.isEmpty)
            #expect(try list.first == model.first && list.last == model.last)
            if model.isEmpty { return }
            let (a, b) = (
                Int.random(in: 0..<model.count, using: &random),
                Int.random(in: 0...model.count, using: &random)
            )
            #expect(try list[a] == model[a])
            let range = min(a, b)..<max(a, b)
            let limit = Int.random(in: 0...500, using: &random)
            #expect(try list.page(in: range, limit: limit) == Array(model[range].prefix(limit)))
            #expect(
                try list.page(in: range, reversed: true, limit: limit)
                    == Array(model[range].reversed().prefix(limit)))
        }

        func checkAll(_ sourceLocation: SourceLocation = #_sourceLocation) throws {
            var seen: [String] = []
            try list.forEach { index, element in
                #expect(index == seen.count)
                seen.append(element)
            }
            #expect(seen == model, sourceLocation: sourceLocation)
            seen = []
            try list.forEach(in: 1..., reversed: true) { index, element in
                #expect(index == model.count - 1 - seen.count)
                seen.append(element)
            }
            #expect(seen == model.dropFirst().reversed(), sourceLocation: sourceLocation)
        }
    }

    private func found(_ connection: Connection) throws -> PersistentList<String> {
        try #require(try connection.root.object("list", as: PersistentList<String>.self))
    }

    @Test("random changes, through commits, aborts, savepoints and reopening", arguments: Sizes.allCases)
    func random(_ sizes: Sizes) throws {
        var random = ArrayRandom("ListModelTests.random \(sizes)")
        var configuration = Database.Configuration.small
        configuration.durability = .none
        let temporary = try TemporaryDatabase(configuration)
        var database = temporary.database
        var connection = try database.connect()
        var pair = Pair(list: PersistentList(), model: [], sizes: sizes)
        // Before it is stored it is a list already.
        for _ in 0..<60 {
            try pair.change(&random, most: 3000)
            try pair.check(&random)
        }
        try pair.checkAll()
        try connection.root.set("list", pair.list)
        try pair.checkAll()
        try connection.abort()
        try pair.checkAll()
        try connection.root.set("list", pair.list)
        try connection.commit()
        try pair.checkAll()
        var committed = pair.model
        for round in 0..<40 {
            var saved: [(Savepoint, [String])] = []
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                try pair.change(&random, most: 3000)
                if random.chance(10) {
                    saved.append((try connection.transactionManager.current().savepoint(), pair.model))
                } else if random.chance(10), let index = saved.indices.randomElement(using: &random) {
                    try saved[index].0.rollback()
                    pair.model = saved[index].1
                    saved.removeSubrange((index + 1)...)
                }
                if random.chance(30) { try pair.check(&random) }
            }
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<2:
                try connection.abort()
                pair.model = committed
            case 2:
                try connection.commit()
                committed = pair.model
                try connection.close()
                try database.close()
                database = try Database(temporary.path, configuration: configuration)
                connection = try database.connect()
                pair = Pair(list: try found(connection), model: committed, sizes: sizes, number: pair.number)
            default:
                try connection.commit()
                committed = pair.model
            }
            try pair.check(&random)
            if round % 8 == 0 {
                try pair.checkAll()
                #expect(try database.verify().problems == [])
            }
        }
        try connection.commit()
        try pair.checkAll()
        #expect(try database.verify().problems == [])
        // What is left of it is one node.
        try pair.list.removeAll()
        try connection.commit()
        #expect(try pair.list.isEmpty && pair.list.first == nil && pair.list.popLast() == nil)
        let oid = try #require(pair.list.object.oid)
        #expect(try connection.snapshot.entryCount(of: oid) == 1)
        try pair.list.append(contentsOf: ["a", "b"])
        try connection.commit()
        #expect(try pair.list.page() == ["a", "b"])
        #expect(try database.verify().problems == [])
    }
}
