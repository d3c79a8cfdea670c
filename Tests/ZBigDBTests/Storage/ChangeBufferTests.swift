import Testing

@testable import ZBigDB

@Suite("Buffered changes")
struct ChangeBufferTests {
    /// Subkeys of all lengths that begin alike, so that many differ behind their first bytes only.
    private func key(_ random: inout ArrayRandom) -> [UInt8] {
        let beginning = [UInt8](repeating: 0x53, count: [0, 1, 7, 8, 20].randomElement(using: &random) ?? 0)
        let rest = (0..<Int.random(in: 0...9, using: &random)).map { _ in
            UInt8.random(in: 0x52...0x54, using: &random)
        }
        // No key begins another.
        return beginning + rest + [0, 0]
    }

    private func value(_ random: inout ArrayRandom) -> [UInt8] {
        (0..<Int.random(in: 0...40, using: &random)).map { _ in .random(in: 0...255, using: &random) }
    }

    @Test("keys come in the order of bytes", arguments: [0, 1, 2, 10, 63, 64, 1000, 20_000])
    func order(_ count: Int) {
        var random = ArrayRandom("ChangeBufferTests.order")
        let text = Set((0..<count).map { _ in key(&random) })
        let numbers = Set(
            (0..<count).map { _ in UInt64.random(in: 0...(.max), using: &random).bigEndianBytes })
        let ascending = (0..<count).map { [0x40] + UInt64($0).bigEndianBytes }
        for keys in [
            Array(text), Array(numbers), ascending, ascending.reversed(), ascending.shuffled(using: &random),
        ] {
            let starts = keys.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
            let order = Array(keys.joined()).withUnsafeBytes { bytes in
                SubkeyOrder.sorted(keys.count) {
                    UnsafeRawBufferPointer(rebasing: bytes[starts[$0]..<starts[$0 + 1]])
                }
            }
            #expect(order.map { keys[Int($0)] } == keys.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    @Test("changes of entries are those of a dictionary, however often they are replaced")
    func changes() {
        var random = ArrayRandom("ChangeBufferTests.changes")
        for round in 0..<20 {
            var changes = EntryChanges()
            var model: [[UInt8]: String] = [:]
            let keys = (0..<(round * 20 + 1)).map { _ in key(&random) }
            var saved = (changes, model)
            for step in 0..<3000 {
                let key = keys.randomElement(using: &random) ?? []
                let isNew: Bool
                let described: String
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    isNew = changes.remove(key)
                    described = "removal"
                case 1:
                    isNew = changes.keep(key, as: step)
                    described = "kept \(step)"
                default:
                    let value = value(&random)
                    isNew = changes.put(key, value)
                    described = "\(value)"
                }
                #expect(isNew == (model.updateValue(described, forKey: key) == nil))
                if step == 1000 { saved = (changes, model) }
            }
            compare(changes, model)
            // A copy is not touched by what comes after it.
            compare(saved.0, saved.1)
            // A value is 20 bytes on average, replaced over and over: what is dead does not pile up.
            #expect(changes.byteCount < 12_000 + 2 * model.count * 80)
        }
    }

    private func compare(_ changes: EntryChanges, _ model: [[UInt8]: String]) {
        #expect(changes.count == model.count)
        #expect(changes.find([9, 9]) == nil)
        let keys = changes.ordered().map { changes.key(Int($0)) }
        #expect(keys == model.keys.sorted { $0.lexicographicallyPrecedes($1) })
        for (key, expected) in model {
            guard let index = changes.find(key) else {
                Issue.record("\(key) is not found")
                continue
            }
            #expect(changes.key(index) == key && changes.isRemoval(index) == (expected == "removal"))
            switch changes.change(index) {
            case .put(let value): #expect("\(value)" == expected)
            case .removal: #expect("removal" == expected)
            case .kept(let number): #expect("kept \(number)" == expected)
            }
        }
    }

    @Test("writes are what was added, in the order of keys after sorting")
    func writes() throws {
        var random = ArrayRandom("ChangeBufferTests.writes")
        let recipe = BlockRecipe()
        for _ in 0..<50 {
            var expected: [RecordWrite] = []
            var writes = RecordWrites()
            for number in 0..<Int.random(in: 0...60, using: &random) {
                let oid = OID(rawValue: UInt64.random(in: 0...5, using: &random))
                let base = Bool.random(using: &random) ? TID(rawValue: UInt64(number)) : nil
                let state = value(&random)
                let key = RecordKey(oid, key(&random) + UInt64(number).bigEndianBytes)
                switch number % 5 {
                case 0:
                    writes.append(stateOf: oid, state, base: base)
                    expected.append(RecordWrite(key: RecordKey(oid), value: .state(state), base: base))
                case 1, 2:
                    let isRemoval = Bool.random(using: &random)
                    var changes = EntryChanges()
                    if isRemoval { changes.remove(key.subkey) } else { changes.put(key.subkey, state) }
                    changes.append(0, of: oid, to: &writes)
                    expected.append(
                        RecordWrite(
                            key: key, value: isRemoval ? nil : .state(state), base: nil, isBlind: true))
                case 3:
                    expected.append(RecordWrite(key: key, value: .block(recipe), base: base))
                    writes.append(expected[number])
                default:
                    expected.append(RecordWrite(key: key, value: nil, base: base))
                    writes.append(expected[number])
                }
            }
            compare(writes, expected)
            if let index = expected.indices.randomElement(using: &random) {
                let write = RecordWrite(
                    key: expected[index].key, value: .state([1, 2, 3]), base: TID(rawValue: 7))
                let before = writes
                writes[index] = write
                compare(before, expected)
                expected[index] = write
                compare(writes, expected)
            }
            writes.sort()
            #expect(writes.map(\.key) == expected.map(\.key).sorted())
        }
    }

    private func compare(_ writes: RecordWrites, _ expected: [RecordWrite]) {
        #expect(writes.map(\.key) == expected.map(\.key))
        #expect(writes.map(\.value) == expected.map(\.value))
        #expect(writes.map(\.base) == expected.map(\.base))
        #expect(writes.map(\.isBlind) == expected.map(\.isBlind))
        var index = 0
        writes.forEachPlace { place in
            #expect(place.oid == expected[index].key.oid && Array(place.subkey) == expected[index].key.subkey)
            #expect(place.value.map { Array($0) } == expected[index].value?.encoded())
            #expect(place.recipe == expected[index].value?.recipe)
            index += 1
        }
        #expect(index == expected.count)
    }
}
