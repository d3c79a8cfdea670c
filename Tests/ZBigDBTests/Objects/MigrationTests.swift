import Foundation
import Testing

@testable import ZBigDB

/// The class as an old program has it, stored under the name the new one uses.
private final class OldPerson: Persistent {
    @Persisted var fullName = ""
    @Persisted var age = 0
    @Persisted var nickname = ""
    @Persisted var boss: OldPerson?
    override class var className: String { "test.Person" }
}

/// The class today: a property split, one gone, two new, one of another type.
private final class Person: Persistent {
    @Persisted var firstName = ""
    @Persisted var lastName = ""
    @Persisted var age = 0
    @Persisted var boss: Person?
    @Persisted var email: String?
    @Persisted var score = 5
    @Persisted var notes: [String] = ["new"]
    override class var className: String { "test.Person" }
    override class var stateVersion: Int { 2 }
    nonisolated(unsafe) static var migrations: [Int] = []

    override func migrate(from version: Int, _ fields: StoredFields) throws {
        Self.migrations.append(version)
        let parts =
            try fields.value("fullName", as: String.self)?.split(separator: " ").map(String.init) ?? []
        firstName = parts.first ?? ""
        lastName = parts.last ?? ""
        score = age
    }
}

/// A program that is older than the file.
private final class AncientPerson: Persistent {
    @Persisted var fullName = ""
    override class var className: String { "test.Person" }
}

@Suite("Migration of classes", .serialized)
struct MigrationTests {
    @Test("a database written by an old program is read by a new one, and not the other way round")
    func oldProgram() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        await #expect(processExitsWith: .success) { [path = path as String] in
            let connection = try Database(path, create: true).connect()
            let (ann, bob) = (OldPerson(), OldPerson())
            ann.fullName = "Ann Smith"
            ann.age = 40
            ann.nickname = "Annie"
            ann.boss = bob
            bob.fullName = "Bob Brown"
            bob.age = 60
            try connection.root.set("ann", ann)
            try connection.commit()
        }
        let database = try Database(path)
        let connection = try database.connect()
        let ann = try #require(try connection.root.object("ann", as: Person.self))
        #expect(ann.firstName == "Ann" && ann.lastName == "Smith")
        #expect(ann.age == 40 && ann.score == 40)
        #expect(ann.email == nil)
        #expect(ann.notes == ["new"])
        #expect(Person.migrations == [1])
        #expect(ann.objectStatus == .saved)
        #expect(ann.boss?.lastName == "Brown")
        #expect(Person.migrations == [1, 1])
        // Loading is no change; the new form is stored with the next one.
        #expect(try connection.commit() == nil)
        ann.email = "ann@example.com"
        try connection.commit()
        let other = try database.connect()
        let read = try #require(try other.root.object("ann", as: Person.self))
        #expect(read.email == "ann@example.com" && read.lastName == "Smith" && read.score == 40)
        #expect(Person.migrations == [1, 1])
        try other.close()
        try connection.close()
        try database.close()

        await #expect(processExitsWith: .success) { [path = path as String] in
            let connection = try Database(path).connect()
            let object = try connection.root.object("ann", as: AncientPerson.self)
            do {
                try object?.activate()
                exit(1)
            } catch DatabaseError.newerState(_, _, "test.Person", 2, 1) {
                // The other one still has the old form.
            }
        }
    }

    @Test("two classes of one name end the process with a message")
    func sameName() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            OldPerson.register()
            Person.register()
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("are both stored as \"test.Person\""))
    }

    @Test("reading a property that cannot be loaded ends the process with a message; activate throws instead")
    func damagedState() async throws {
        let temporary = try TemporaryDatabase()
        let path = temporary.path
        let connection = try temporary.database.connect()
        let storage = try temporary.database.openStorage()
        let party = Party("Ann")
        try connection.root.set("ann", party)
        try connection.commit()
        let request = CommitRequest(
            id: TransactionID(), user: "", note: "", metadata: [:],
            writes: [
                RecordWrite(
                    key: RecordKey(try #require(party.oid)), value: .state([0x83, 0x61, 0x41]),
                    base: party.storedVersion)
            ], readings: [], blocks: storage.makeBlockWriter(isAhead: false))
        try storage.vote(request, isSole: true).finish()
        try connection.begin()
        let error = #expect(throws: DatabaseError.self) { try party.activate() }
        guard case .unreadable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try connection.close()
        try temporary.database.close()
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = path as String] in
            let connection = try Database(path).connect()
            let party = try connection.root.object("ann", as: Party.self)
            _ = party?.name
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("test.Party 0x1 cannot be loaded"))
    }
}
