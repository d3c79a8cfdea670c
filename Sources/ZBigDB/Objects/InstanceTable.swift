/// The objects of a connection that are in memory, by number, and the cache that keeps
/// the ones loaded last.
struct InstanceTable {
    /// How much the cache keeps.
    struct Limits: Sendable {
        var objects = 10_000
        var bytes = 64 << 20
    }

    private struct Slot {
        weak var object: PersistentObject?
        /// A new object, until the transaction ends that added it. References to it are counted faster as long as
        /// there is no weak one, and of those that nobody else holds there never is any.
        var added: PersistentObject?

        /// Not inlined: the compiler would copy the weak reference to look at it.
        @inline(never)
        func load() -> PersistentObject? { added ?? object }
    }

    private struct Recent {
        var object: PersistentObject
        let bytes: Int
    }

    var limits = Limits()
    /// Where each number's object is in `slots`. Weak references stay where they are: copying and
    /// moving them costs more than everything else here.
    private var places: [OID: Int] = [:]
    private var slots: [Slot] = []
    private var free: [Int] = []
    /// Where objects were added that the transaction holds.
    private var addedPlaces: [Int] = []
    private var sweepAt = 1024
    /// A ring: the oldest is at `oldest`.
    private var recent: [Recent] = []
    private var oldest = 0
    private var recentBytes = 0

    subscript(oid: OID) -> PersistentObject? { places[oid].flatMap { slots[$0].load() } }

    /// How many objects are known and alive.
    var count: Int { slots.indices.count { slots[$0].load() != nil } }
    /// The numbers of the objects in memory.
    var oids: [OID] { Array(places.keys) }

    mutating func insert(_ object: PersistentObject, _ oid: OID) {
        let place = places[oid] ?? newPlace(oid)
        slots[place].object = object
        guard places.count > sweepAt else { return }
        // Each sweep is paid for by as many insertions as it looks at.
        let dead = places.filter { slots[$0.value].load() == nil }
        for oid in dead.keys { remove(oid) }
        sweepAt = max(1024, 2 * places.count)
    }

    /// Keeps a new object alive until ``endTransaction()``.
    mutating func add(_ object: PersistentObject, _ oid: OID) {
        let place = places[oid] ?? newPlace(oid)
        slots[place].added = object
        addedPlaces.append(place)
    }

    /// Lets go of the added objects. Returns those that nobody else holds, which are not known any more; they
    /// must go when nothing of this table is in use.
    mutating func endTransaction() -> [PersistentObject] {
        let ended = addedPlaces
        addedPlaces = []
        var unheld: [PersistentObject] = []
        for place in ended {
            let isUnheld = isKnownUniquelyReferenced(&slots[place].added)
            // It may have been removed since.
            guard let object = slots[place].added.take() else { continue }
            if isUnheld, let oid = object.oid {
                places[oid] = nil
                free.append(place)
                unheld.append(object)
            } else {
                slots[place].object = object
            }
        }
        return unheld
    }

    private mutating func newPlace(_ oid: OID) -> Int {
        let place = free.popLast() ?? slots.count
        if place == slots.count { slots.append(Slot()) }
        places[oid] = place
        return place
    }

    mutating func remove(_ oid: OID) {
        guard let place = places.removeValue(forKey: oid) else { return }
        slots[place] = Slot()
        free.append(place)
    }

    func forEach(_ body: (PersistentObject) -> Void) {
        for place in slots.indices { if let object = slots[place].load() { body(object) } }
    }

    /// Keeps an object that was just loaded, in place of the ones that were loaded longest ago.
    mutating func use(_ object: PersistentObject, bytes: Int) {
        guard limits.objects > 0 else { return }
        if recent.count < limits.objects, oldest == 0 {
            recent.append(Recent(object: object, bytes: bytes))
        } else {
            recentBytes -= recent[oldest].bytes
            // What nobody else holds need not wait for a sweep.
            if isKnownUniquelyReferenced(&recent[oldest].object) { forget(recent[oldest].object) }
            recent[oldest] = Recent(object: object, bytes: bytes)
            oldest = oldest + 1 == recent.count ? 0 : oldest + 1
        }
        recentBytes += bytes
        if recentBytes > limits.bytes, recent.count > 1 { halve() }
    }

    private mutating func forget(_ object: PersistentObject) {
        guard let oid = object.oid, self[oid] === object else { return }
        remove(oid)
    }

    /// Lets go of the older half.
    private mutating func halve() {
        let ordered = recent[oldest...] + recent[..<oldest]
        recent = Array(ordered.suffix(max(1, recent.count / 2)))
        oldest = 0
        recentBytes = recent.reduce(0) { $0 + $1.bytes }
    }

    /// Lets go of all.
    mutating func forgetRecent() {
        recent = []
        oldest = 0
        recentBytes = 0
    }
}
