import Foundation
import Testing

@testable import ZBigDB

@Suite("Persistent classes")
struct PersistentClassTests {
    private let temporary: TemporaryDatabase
    private var database: Database { temporary.database }

    init() throws { temporary = try TemporaryDatabase() }

    @Test("every kind of property comes back as it was")
    func properties() throws {
        let connection = try database.connect()
        let account = Account()
        let date = Date(timeIntervalSinceReferenceDate: 812_345_678.123_456_7)
        account.owner = Party("Ann")
        account.balance = -5
        account.rate = 1.0 / 3
        account.isOpen = false
        account.opened = date
        account.id = UUID()
        account.bytes = [0, 1, 255]
        account.labels = ["a", "b"]
        account.totals = ["x": .infinity, "": -0.5]
        account.address = Address(street: "Elm", city: nil, tags: ["n": [1, -2]], since: date)
        account.anything = account
        account.history = try BigArray(shape: [3], dtype: .float64, blockSize: 65_536)
        account.scratch = 8
        try connection.root.set("account", account)
        try connection.add(#require(account.history))
        try account.history?.setElement(1, to: 2.5)
        try connection.commit()
        #expect(account.objectStatus == .saved)

        let other = try database.connect()
        let read = try #require(try other.root.object("account", as: Account.self))
        #expect(read !== account)
        #expect(read.owner?.name == "Ann")
        #expect(read.balance == -5)
        #expect(read.rate == 1.0 / 3)
        #expect(!read.isOpen)
        #expect(read.opened == date)
        #expect(read.id == account.id)
        #expect(read.bytes == [0, 1, 255])
        #expect(read.labels == ["a", "b"])
        #expect(read.totals == ["x": .infinity, "": -0.5])
        #expect(read.address == Address(street: "Elm", city: nil, tags: ["n": [1, -2]], since: date))
        #expect(read.anything === read)
        #expect(read.parent == nil)
        #expect(try read.history?.element(1, as: Double.self) == 2.5)
        #expect(read.scratch == 7)
    }

    @Test("H22 reading loads, writing registers; unsaved, changed, saved, ghost")
    func states() throws {
        let connection = try database.connect()
        let account = Account()
        account.balance = 1
        #expect(account.objectStatus == .unsaved)
        try connection.root.set("account", account)
        #expect(account.objectStatus == .changed)
        try connection.commit()
        #expect(account.objectStatus == .saved)
        account.deactivate()
        #expect(account.objectStatus == .ghost)
        #expect(account.balance == 1)
        #expect(account.objectStatus == .saved)
        account.deactivate()
        account.balance += 1
        #expect(account.objectStatus == .changed)
        // A hint only: changed objects keep their state.
        account.deactivate()
        #expect(account.balance == 2)
        try connection.abort()
        #expect(account.objectStatus == .ghost)
        #expect(account.balance == 1)
        // What others commit comes at the boundary, as a ghost.
        let other = try database.connect()
        try #require(try other.root.object("account", as: Account.self)).balance = 10
        try other.commit()
        #expect(account.balance == 1)
        try connection.begin()
        #expect(account.objectStatus == .ghost)
        #expect(account.balance == 10)
    }

    @Test(
        "H6 objects that others refer to are stored with them; cycles and shared objects keep their identity")
    func graph() throws {
        let connection = try database.connect()
        let (ann, bob) = (Party("Ann"), Party("Bob"))
        let company = Company("Acme")
        company.employees = 3
        ann.friends = [bob, company, ann]
        bob.friends = [ann, company]
        try connection.root.set("ann", ann)
        try connection.commit()
        #expect(ann.oid != nil && bob.oid != nil && company.oid != nil)

        let other = try database.connect()
        let read = try #require(try other.root.object("ann", as: Party.self))
        #expect(read.objectStatus == .ghost)
        #expect(read.friends.count == 3)
        #expect(read.friends[2] === read)
        #expect(read.friends[0].objectStatus == .ghost)
        #expect(read.friends[0].friends[0] === read)
        #expect(read.friends[0].friends[1] === read.friends[1])
        #expect((read.friends[1] as? Company)?.employees == 3)
        #expect(read.friends[1].name == "Acme")
        #expect(try other.object(#require(bob.oid), as: Party.self) === read.friends[0])
        let wrong = #expect(throws: DatabaseError.self) { try other.root.object("ann", as: Account.self) }
        guard case .wrongClass(_, "Account", "test.Party") = wrong else {
            Issue.record("\(String(describing: wrong))")
            return
        }
    }

    @Test("an abort takes new objects out again, and they can be added anew")
    func abort() throws {
        let connection = try database.connect()
        let ann = Party("Ann")
        try connection.root.set("ann", ann)
        try connection.abort()
        #expect(ann.objectStatus == .unsaved && ann.oid == nil)
        #expect(ann.name == "Ann")
        try connection.root.set("ann", ann)
        try connection.commit()
        let other = try database.connect()
        #expect(try other.root.object("ann", as: Party.self)?.name == "Ann")
    }

    @Test("a change that could not be registered is never stored, and somebody hears of it")
    func deferredChanges() throws {
        let manager = TransactionManager(explicit: true)
        let connection = try database.connect(transactionManager: manager)
        try connection.begin()
        let ann = Party("Ann")
        try connection.root.set("ann", ann)
        try connection.commit()
        // No transaction: the next begin says so.
        ann.name = "lost"
        #expect(throws: TransactionError.self) { try connection.begin() }
        #expect(ann.name == "Ann")
        try connection.abort()
        // After a failed commit: the abort drops it.
        let other = try database.connect()
        try connection.begin()
        try #require(try other.root.object("ann", as: Party.self)).name = "other"
        try other.commit()
        ann.name = "mine"
        #expect(throws: ConflictError.self) { try connection.commit() }
        ann.name = "after the failure"
        #expect(throws: TransactionError.self) { try connection.commit() }
        try connection.abort()
        try connection.begin()
        #expect(ann.name == "other")
    }

    @Test("H21 the cache keeps what was loaded last; minimised, everything unchanged is a ghost")
    func cache() throws {
        let connection = try database.connect()
        let parties = (0..<50).map { Party("\($0)") }
        for party in parties { try connection.add(party) }
        try connection.commit()
        let oids = parties.compactMap(\.oid)
        let other = try database.connect()
        other.instances.limits.objects = 10
        for oid in oids { _ = try other.object(oid, as: Party.self).name }
        #expect(other.instances.count == 11, "the root, and ten")
        let kept = try other.object(oids[49], as: Party.self)
        #expect(kept.objectStatus == .saved)
        let changed = try other.object(oids[48], as: Party.self)
        changed.name = "changed"
        other.minimizeCache()
        #expect(kept.objectStatus == .ghost)
        #expect(changed.objectStatus == .changed)
        #expect(other.instances.count == 3)
        #expect(kept.name == "49")
        #expect(other.root.objectStatus == .saved)
        // By bytes as well.
        other.instances.limits = .init(objects: 1000, bytes: 400)
        for oid in oids { _ = try other.object(oid, as: Party.self).name }
        #expect(other.instances.count < 20)
        try other.abort()
    }

    @Test("H48 an object of an unknown class keeps its data, and goes back unchanged")
    func unknownClass() throws {
        let connection = try database.connect()
        var writer = CBORWriter()
        writer.array(3)
        writer.text("nobody.Knows")
        writer.unsigned(3)
        writer.map(1)
        writer.text("x")
        writer.integer(5)
        let storage = try database.openStorage()
        let oid = OID(rawValue: try storage.reserveOIDs(upTo: 1).lowerBound)
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "", metadata: [:],
            writes: [RecordWrite(key: RecordKey(oid), value: .state(writer.bytes), base: nil)],
            readings: [], blocks: storage.makeBlockWriter(isAhead: false))
        try storage.vote(request, isSole: true).finish()
        try connection.begin()
        let object = try #require(try connection.object(oid) as? UnknownObject)
        #expect(object.storedClassName == "nobody.Knows")
        #expect(object.record == writer.bytes)
        // It can be referred to.
        let account = Account()
        account.anything = object
        try connection.root.set("account", account)
        try connection.root.set("unknown", object)
        try connection.commit()
        let other = try database.connect()
        let read = try #require(try other.root.object("account", as: Account.self))
        #expect((read.anything as? UnknownObject)?.storedClassName == "nobody.Knows")
        read.balance = 1
        try other.commit()
        let last = try database.connect()
        let unknown = try #require(try last.root.object("unknown") as? UnknownObject)
        try unknown.activate()
        #expect(unknown.record == writer.bytes)
        // Once the class is known, it takes the placeholder's place.
        let known = try last.object(oid, as: Known.self)
        #expect(known.x == 5)
        #expect(try last.object(oid) === known)
    }

    private final class Known: Persistent {
        @Persisted var x = 0
        override class var className: String { "nobody.Knows" }
        override class var stateVersion: Int { 3 }
    }

    @Test("a large object graph is stored and read without deep recursion")
    func longList() throws {
        let connection = try database.connect()
        let first = Account()
        var last = first
        for number in 1..<20_000 {
            let next = Account()
            next.balance = number
            last.parent = next
            last = next
        }
        try connection.root.set("first", first)
        try connection.commit()
        let other = try database.connect()
        var at = try other.root.object("first", as: Account.self)
        var count = 0
        while let account = at {
            #expect(account.balance == count)
            count += 1
            at = account.parent
        }
        #expect(count == 20_000)
        // Let go of the chain link by link: releasing it at once would recurse.
        var rest: Account? = first
        while let account = rest {
            rest = account.parent
            account.deactivate()
        }
    }
}
