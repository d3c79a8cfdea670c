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
        /// The object as long as `holds` are: of those, references are counted faster as long as there is no weak
        /// one, and of those that nobody else holds in the end there never is any.
        var held: PersistentObject?
        /// How often the transaction that added the object, its loading and the cache hold it.
        var holds = 0
        /// Whether the number belongs to no object any more, and the slot is free once there are no holds.
        var isLeft = false

        /// Not inlined: the compiler would copy the weak reference to look at it.
        @inline(never)
        func load() -> PersistentObject? { held ?? object }
    }

    private struct Recent {
        let place: Int
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
        let place = place(of: oid)
        slots[place].held = nil
        slots[place].object = object
        sweepIfDue()
    }

    private mutating func sweepIfDue() {
        guard places.count > sweepAt else { return }
        // Each sweep is paid for by as many insertions as it looks at.
        let dead = places.filter { slots[$0.value].load() == nil }
        for oid in dead.keys { remove(oid) }
        sweepAt = max(1024, 2 * places.count)
    }

    /// Keeps a new object alive until ``endTransaction()``.
    mutating func add(_ object: PersistentObject, _ oid: OID) {
        let place = place(of: oid)
        hold(object, place)
        addedPlaces.append(place)
    }

    /// Lets go of the added objects. Returns those that nobody else holds, which are not known any more; they
    /// must go when nothing of this table is in use.
    mutating func endTransaction() -> [PersistentObject] {
        let ended = addedPlaces
        addedPlaces = []
        return ended.compactMap { release($0) }
    }

    /// Keeps an object alive while it is loaded, until ``endLoading(_:)`` with what is returned.
    mutating func beginLoading(_ object: PersistentObject, _ oid: OID) -> Int {
        sweepIfDue()
        let place = place(of: oid)
        hold(object, place)
        return place
    }

    mutating func endLoading(_ place: Int) { _ = release(place) }

    private mutating func hold(_ object: PersistentObject, _ place: Int) {
        slots[place].held = object
        slots[place].holds += 1
    }

    /// Returns the object if nobody else holds it: then it is not known any more.
    private mutating func release(_ place: Int) -> PersistentObject? {
        slots[place].holds -= 1
        if slots[place].holds > 0 { return nil }
        if slots[place].isLeft {
            slots[place] = Slot()
            free.append(place)
            return nil
        }
        let isUnheld = isKnownUniquelyReferenced(&slots[place].held)
        guard let object = slots[place].held.take() else { return nil }
        guard isUnheld, let oid = object.oid, places[oid] == place else {
            slots[place].object = object
            return nil
        }
        remove(oid)
        return object
    }

    private mutating func place(of oid: OID) -> Int {
        if let place = places[oid] { return place }
        let place = free.popLast() ?? slots.count
        if place == slots.count { slots.append(Slot()) }
        places[oid] = place
        return place
    }

    mutating func remove(_ oid: OID) {
        guard let place = places.removeValue(forKey: oid) else { return }
        let holds = slots[place].holds
        slots[place] = Slot()
        if holds == 0 {
            free.append(place)
        } else {
            (slots[place].holds, slots[place].isLeft) = (holds, true)
        }
    }

    func forEach(_ body: (PersistentObject) -> Void) {
        for place in slots.indices { if let object = slots[place].load() { body(object) } }
    }

    // MARK: The cache

    /// Keeps an object that was just loaded, in place of the ones that were loaded longest ago.
    mutating func use(_ object: PersistentObject, bytes: Int) {
        guard limits.objects > 0, let oid = object.oid, let place = places[oid],
            slots[place].load() === object
        else { return }
        hold(object, place)
        if recent.count < limits.objects, oldest == 0 {
            recent.append(Recent(place: place, bytes: bytes))
        } else {
            recentBytes -= recent[oldest].bytes
            _ = release(recent[oldest].place)
            recent[oldest] = Recent(place: place, bytes: bytes)
            oldest = oldest + 1 == recent.count ? 0 : oldest + 1
        }
        recentBytes += bytes
        if recentBytes > limits.bytes, recent.count > 1 { halve() }
    }

    /// Lets go of the older half.
    private mutating func halve() {
        let ordered = recent[oldest...] + recent[..<oldest]
        let kept = Array(ordered.suffix(max(1, recent.count / 2)))
        for entry in ordered.dropLast(kept.count) { _ = release(entry.place) }
        recent = kept
        oldest = 0
        recentBytes = recent.reduce(0) { $0 + $1.bytes }
    }

    /// Lets go of all.
    mutating func forgetRecent() {
        for entry in recent { _ = release(entry.place) }
        recent = []
        oldest = 0
        recentBytes = 0
    }
}
