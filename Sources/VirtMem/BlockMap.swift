/// A sparse map from block number to value, for numbers 0..<capacity.
///
/// Two levels: a directory of leaves of 512 slots, each made when its first
/// slot is set and dropped when its last is cleared. Look-ups take constant
/// time and allocate nothing; iteration is in ascending order.
struct BlockMap<Value> {
    private static var leafBits: Int { 9 }
    private static var leafSize: Int { 1 << leafBits }

    struct Leaf {
        var slots: [Value?]
        var used = 0
    }

    let capacity: Int
    private(set) var leaves: [Leaf?] = []
    private(set) var count = 0

    init(capacity: Int) { self.capacity = capacity }

    subscript(number: Int) -> Value? {
        get {
            let index = number >> Self.leafBits
            guard number >= 0, index < leaves.count else { return nil }
            return leaves[index]?.slots[number & (Self.leafSize - 1)]
        }
        set {
            precondition(number >= 0 && number < capacity, "block outside the map")
            if let newValue { set(number, newValue) } else { remove(number) }
        }
    }

    private mutating func set(_ number: Int, _ value: Value) {
        let index = number >> Self.leafBits
        while leaves.count <= index { leaves.append(nil) }
        if leaves[index] == nil {
            leaves[index] = Leaf(slots: Array(repeating: nil, count: Self.leafSize))
        }
        let slot = number & (Self.leafSize - 1)
        if leaves[index]?.slots[slot] == nil {
            leaves[index]?.used += 1
            count += 1
        }
        leaves[index]?.slots[slot] = value
    }

    private mutating func remove(_ number: Int) {
        let index = number >> Self.leafBits
        let slot = number & (Self.leafSize - 1)
        guard index < leaves.count, leaves[index]?.slots[slot] != nil else { return }
        leaves[index]?.slots[slot] = nil
        leaves[index]?.used -= 1
        count -= 1
        if leaves[index]?.used == 0 { leaves[index] = nil }
        while let last = leaves.last, last == nil { leaves.removeLast() }
    }

    /// Calls `body` with each number and value, ascending, until it throws.
    func forEach<E: Error>(_ body: (Int, Value) throws(E) -> Void) throws(E) {
        for (index, leaf) in leaves.enumerated() {
            guard let leaf else { continue }
            for (slot, value) in leaf.slots.enumerated() {
                if let value { try body(index << Self.leafBits + slot, value) }
            }
        }
    }
}
