import Testing

@testable import ZBigDB

@Suite("References of stored objects")
struct ReferenceCheckTests {
    @Test("H43 verify tells references to missing objects, to removed ones and damaged ones apart")
    func dangling() throws {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = true
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let map = PersistentMap<String, Note>()
        try connection.root.set("map", map)
        try map.updateValue(Note("kept"), forKey: "kept")
        try connection.root.set("holder", Note("", next: Note("held")))
        try connection.commit()
        let extra = Note("extra")
        try connection.root.set("extra", extra)
        let made = try #require(try connection.commit())
        let removed = try #require(extra.oid)
        try database.undo(made)
        try connection.begin()
        #expect(try database.verify().problems == [])

        let oid = try #require(map.object.oid)
        let missing = OID(rawValue: 777)
        try connection.setStoredEntry(
            .reference(missing, className: "test.Note"), for: .text("missing"), of: oid)
        try connection.setStoredEntry(
            .reference(removed, className: "test.Note"), for: .text("removed"), of: oid)
        try connection.setStoredEntry(
            .list([.integer(1), .reference(missing, className: "test.Note")]), for: .text("inside"), of: oid)
        try map.object.set(try KeyEncoder.subkey("damaged"), .put([0xd8]))
        let holder = try connection.note("holder")
        try connection.setStored(
            .reference(missing, className: "test.Note"), for: "next", of: try #require(holder.oid))
        try connection.commit()
        let problems = try database.verify().problems
        #expect(problems.allSatisfy { [oid, holder.oid].contains($0.oid) })
        #expect(
            Set(problems.map(\.what)) == [
                "entry \"missing\" refers to object \(missing), which is missing",
                "entry \"inside\" refers to object \(missing), which is missing",
                "entry \"removed\" refers to object \(removed), which was removed",
                "the references in entry \"damaged\" cannot be read",
                "its state refers to object \(missing), which is missing",
            ])
        // Older versions do not count.
        try map.removeAll()
        try holder.set(next: nil)
        try connection.commit()
        #expect(try database.verify().problems == [])

        // Nor does what no name leads to: of that a part may have been packed away.
        let left = Note("", next: Note("held"))
        try connection.root.set("left", left)
        try connection.commit()
        try connection.setStored(
            .reference(missing, className: "test.Note"), for: "next", of: try #require(left.oid))
        try connection.commit()
        #expect(try database.verify().problems.map(\.oid) == [left.oid])
        try connection.root.remove("left")
        try connection.commit()
        #expect(try database.verify().problems == [])
    }
}
