import Foundation

@testable import ZBigDB

/// What is observed, and what a random transaction changes of it.
final class ObservedModel {
    let connection: Connection
    let note = Note("a note")
    let other = Note("another")
    let map = PersistentMap<Int, String>()
    let set = PersistentSet<String>()
    let array: BigArray
    static let perBlock = Database.Configuration.small.blockSize / 8

    init(_ database: Database) throws {
        connection = try database.connect()
        array = try connection.createArray("array", shape: [6 * Self.perBlock], of: Int64.self)
        try connection.root.set("note", note)
        try connection.root.set("other", other)
        try connection.root.set("map", map)
        try connection.root.set("set", set)
        try connection.commit()
    }

    /// Returns which of the observed things changed.
    func change(_ random: inout ArrayRandom, all: Bool) throws -> (
        Set<String>, keys: Set<Int>, blocks: Set<Int>
    ) {
        var changed: Set<String> = []
        var keys: Set<Int> = []
        var blocks: Set<Int> = []
        if all || random.chance(30) {
            try note.set("\(random.next())")
            changed.insert("note")
        }
        if all || random.chance(30) { try other.set("\(random.next())") }
        for _ in 0..<(all ? 100 : random.chance(40) ? 5 : 0) {
            let key = Int.random(in: 0..<40, using: &random)
            try map.updateValue("\(random.next())", forKey: key)
            changed.formUnion(10..<20 ~= key ? ["map", "10..<20"] : ["map"])
            keys.insert(key)
        }
        for _ in 0..<(all ? 100 : random.chance(30) ? 3 : 0) {
            let element = ["a", "b", "c", "d"].randomElement(using: &random)!
            if random.chance(50) { try set.insert(element) } else if try !set.remove(element) { continue }
            changed.formUnion(element >= "c" ? ["set", "c..."] : ["set"])
        }
        for _ in 0..<(all ? 100 : random.chance(40) ? 2 : 0) {
            let at = Int.random(in: 0..<array.count, using: &random)
            try array.setElement(at, to: Int64.random(in: 1...(.max), using: &random))
            blocks.insert(at / Self.perBlock)
        }
        if !blocks.isEmpty { changed.insert("array") }
        // Elements of block 1 and 2.
        if !blocks.isDisjoint(with: [1, 2]) { changed.insert("elements") }
        return (changed, keys, blocks)
    }
}
