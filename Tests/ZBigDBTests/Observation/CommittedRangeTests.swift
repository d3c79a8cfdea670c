import Testing

@testable import ZBigDB

@Suite("Committed changes of a range")
struct CommittedRangeTests {
    @Test("H41 transactions come oldest first, with both ends; what each made, removed or undid can be told")
    func range() throws {
        var configuration = Database.Configuration.small
        configuration.keepsHistory = true
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let first = Note("0")
        try connection.root.set("first", first)
        var tids = [try #require(try connection.commit(note: "0"))]
        for number in 1..<6 {
            if number == 3 {
                try connection.root.set("second", Note("made by 3"))
            } else {
                try first.set("\(number)")
            }
            tids.append(try #require(try connection.commit(note: "\(number)")))
        }
        let second = try #require(try connection.note("second").oid)
        try connection.root.set("third", Note("made by 6"))
        try connection.commit(note: "6")
        let undo = try #require(try database.undo(tids[5]))
        tids += [try database.transactions(limit: 2)[1].tid, undo]

        let all = try database.committedChanges()
        #expect(all.suffix(8).map(\.tid) == tids && all.count == 9)
        #expect(
            try database.committedChanges(from: tids[2], through: tids[4]).map(\.note) == ["2", "3", "4"])
        #expect(try database.committedChanges(from: tids[5].next, through: tids[6]).map(\.note) == ["6"])
        #expect(try database.committedChanges(from: tids[4], limit: 2).map(\.tid) == Array(tids[4...5]))
        #expect(try database.committedChanges(from: undo.next) == [])
        let oid = try #require(first.oid)
        for (number, change) in try database.committedChanges(from: tids[0], through: tids[5]).enumerated() {
            #expect((change.objects[oid] != nil) == (number != 3))
            #expect((change.objects[second] != nil) == (number == 3))
            let then = try database.connect(at: .transaction(change.tid))
            #expect(try (then.object(oid) as? Note)?.text == (number == 3 ? "2" : "\(number)"))
            try then.close()
        }
        #expect(all.last?.metadata["undo"] == tids[5].description)

        try connection.begin()
        let removal = try #require(try database.undo(tids[3]))
        let change = try #require(try database.committedChanges(from: removal).first)
        #expect(change.objects[second]?.hasChangedState == true && change.tid == removal)
        let then = try database.connect(at: .transaction(removal))
        #expect(throws: DatabaseError.self) { try then.object(second) }
        #expect(try then.history(of: second, limit: 1)[0].isRemoval)
    }

    @Test("H41 from before the beginning of the log is an error; from nil on is what there is")
    func forgotten() throws {
        var configuration = Database.Configuration.small
        configuration.logLimit = 5
        let database = try TemporaryDatabase(configuration).database
        let connection = try database.connect()
        let start = try connection.tid
        for number in 0..<40 {
            try connection.root.set("\(number)", Note(""))
            try connection.commit(note: "\(number)")
        }
        #expect(throws: ChangesForgotten.self) { try database.committedChanges(from: start) }
        let left = try database.committedChanges()
        #expect(left.last?.note == "39" && left.count >= 5 && left.count < 40)
        #expect(try database.committedChanges(from: left[0].tid).map(\.tid) == left.map(\.tid))
    }
}
