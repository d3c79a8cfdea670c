import Testing

@testable import VirtMem

extension BlockMap {
    fileprivate var leafCount: Int { leaves.count { $0 != nil } }
    fileprivate var directoryCount: Int { leaves.count }
}

@Suite struct BlockMapTests {
    static let edges = [0, 1, 32, 511, 512, 513, 544, 1023, 1024, 1025, 2148]
    static let capacity = 1 << 24

    private func contents(_ map: BlockMap<Int>) -> [[Int]] {
        var found: [[Int]] = []
        map.forEach { found.append([$0, $1]) }
        return found
    }

    @Test("A1 look-up in a new map", arguments: [0, 123, capacity - 1, -1, capacity, Int.max])
    func lookUpEmpty(key: Int) {
        let map = BlockMap<Int>(capacity: Self.capacity)
        #expect(map[key] == nil)
        #expect(map.count == 0)
        #expect(map.leafCount == 0)
    }

    @Test("A2 A10 a stored key, its neighbours stay empty", arguments: edges + [capacity - 1])
    func setOne(key: Int) {
        var map = BlockMap<Int>(capacity: Self.capacity)
        map[key] = 77
        #expect(map[key] == 77)
        #expect(map[key - 1] == nil)
        #expect(map[key + 1] == nil)
        #expect(map.count == 1)
    }

    @Test("A3 setting twice: the second value, one delete empties")
    func setTwice() {
        var map = BlockMap<Int>(capacity: 4096)
        map[5] = 1
        map[5] = 2
        #expect(map[5] == 2)
        #expect(map.count == 1)
        map[5] = nil
        #expect(map[5] == nil)
        #expect(map.count == 0)
        #expect(map.leafCount == 0)
    }

    @Test("A4 values come back bit-exact", arguments: [77, 99, 0x8001, 1, -1, Int.min, Int.max])
    func bits(value: Int) {
        var map = BlockMap<Int>(capacity: 4096)
        map[513] = value
        #expect(map[513] == value)
    }

    @Test("A5 deleting what is not there changes nothing")
    func deleteAbsent() {
        var map = BlockMap<Int>(capacity: Self.capacity)
        map[600] = 1
        map[601] = nil  // same leaf
        map[5] = nil  // no leaf
        map[1 << 20] = nil  // past the directory
        #expect(contents(map) == [[600, 1]])
        #expect(map.count == 1)
        #expect(map.leafCount == 1)
    }

    @Test("A6 the last key of a leaf frees it, the last key of the map leaves it fresh")
    func deleteLast() {
        var map = BlockMap<Int>(capacity: Self.capacity)
        map[3] = 1
        map[5000] = 2
        #expect(map.leafCount == 2)
        map[5000] = nil
        #expect(map.leafCount == 1)
        map[3] = nil
        #expect(map.leafCount == 0)
        #expect(map.directoryCount == 0)
    }

    @Test("A7 a full leaf, deleted in reverse")
    func fullLeaf() {
        var map = BlockMap<Int>(capacity: 4096)
        for key in 512..<1024 {
            map[key] = key
            #expect(map.count == key - 511)
        }
        for key in (512..<1024).reversed() {
            #expect(map[key] == key)
            map[key] = nil
            #expect(map.count == key - 512)
        }
        #expect(map.leafCount == 0)
    }

    @Test("A9 a key outside is refused", arguments: [-1, 4096, Int.max, Int.min])
    func outside(key: Int) async {
        await #expect(processExitsWith: .failure) { [key = key as Int] in
            var map = BlockMap<Int>(capacity: 4096)
            map[key] = 1
        }
    }

    @Test("A11 iterating an empty map")
    func iterateEmpty() {
        #expect(contents(BlockMap<Int>(capacity: 4096)) == [])
    }

    @Test("A12 each value once, ascending, whatever the order of insertion", arguments: 0..<8)
    func iterate(seed: Int) {
        var random = SeededGenerator(state: UInt64(seed))
        var map = BlockMap<Int>(capacity: Self.capacity)
        for key in Self.edges.shuffled(using: &random) { map[key] = key * 3 }
        #expect(contents(map) == Self.edges.map { [$0, $0 * 3] })
    }

    @Test("A13 entries far apart", arguments: [2 * 1024 + 100, 1 << 18, 511 << 9 | 511, 1 << 24, 1 << 27])
    func farApart(far: Int) {
        var map = BlockMap<Int>(capacity: 1 << 28)
        map[0] = 1
        map[far] = 2
        #expect(contents(map) == [[0, 1], [far, 2]])
        map[0] = nil
        #expect(contents(map) == [[far, 2]])
    }

    @Test("A15 iteration can stop in the middle")
    func stop() {
        var map = BlockMap<Int>(capacity: Self.capacity)
        for key in Self.edges { map[key] = key }
        struct Stop: Error {}
        var seen: [Int] = []
        #expect(throws: Stop.self) {
            try map.forEach { key, _ in
                seen.append(key)
                if seen.count == 3 { throw Stop() }
            }
        }
        #expect(seen == [0, 1, 32])
    }

    @Test("A16 cleared by dropping: values go, the map is reusable")
    func clear() {
        final class Value {}
        weak var dropped: Value?
        var map = BlockMap<Value>(capacity: Self.capacity)
        let kept = Value()
        do {
            let value = Value()
            dropped = value
            for key in Self.edges { map[key] = key == 0 ? kept : value }
        }
        #expect(dropped != nil)
        for key in Self.edges { map[key] = nil }
        #expect(dropped == nil)
        #expect(map.count == 0 && map.leafCount == 0)
        map[9] = kept
        #expect(map[9] === kept)
    }

    @Test("A17 a map is a value: a change while iterating does not disturb the iteration")
    func changeWhileIterating() {
        var map = BlockMap<Int>(capacity: Self.capacity)
        for key in Self.edges { map[key] = key }
        var seen: [Int] = []
        let before = map
        before.forEach { key, _ in
            seen.append(key)
            map[key] = nil
        }
        #expect(seen == Self.edges)
        #expect(map.count == 0)
    }

    @Test("A18 adjacent keys share leaves")
    func adjacent() {
        var map = BlockMap<Int>(capacity: 1 << 21)
        for key in 0..<100_000 { map[key] = key }
        #expect(map.count == 100_000)
        #expect(map.leafCount == (100_000 + 511) / 512)
        #expect(map[99_999] == 99_999)
    }

    @Test("agrees with a dictionary")
    func model() {
        var random = SeededGenerator(state: 11)
        var map = BlockMap<Int>(capacity: 8192)
        var model: [Int: Int] = [:]
        for step in 0..<20_000 {
            let key = Int.random(in: 0..<8192, using: &random) & (step < 10_000 ? -1 : ~511)
            let value: Int? = Int.random(in: 0..<3, using: &random) == 0 ? nil : step
            map[key] = value
            model[key] = value
        }
        #expect(map.count == model.count)
        #expect(contents(map) == model.sorted { $0.key < $1.key }.map { [$0.key, $0.value] })
        #expect(map.leafCount == Set(model.keys.map { $0 >> 9 }).count)
    }
}
