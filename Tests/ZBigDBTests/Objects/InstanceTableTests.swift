import Testing

@testable import ZBigDB

@Suite("The table of instances")
struct InstanceTableTests {
    @Test(
        "random use against a model: what anybody holds is found, and nothing else stays",
        arguments: [0, 1, 5, 40])
    func model(cached: Int) throws {
        var random = ArrayRandom("InstanceTableTests.model \(cached)")
        var table = InstanceTable()
        table.limits.objects = cached
        table.limits.bytes = 3000
        /// What the program holds, by number.
        var held: [OID: Note] = [:]
        /// What the table was given last for a number, alive or not, and what nobody but the table holds
        /// until the end of the transaction.
        var newest: [OID: ObjectIdentifier] = [:]
        var added: [OID: ObjectIdentifier] = [:]
        func makeNote(_ oid: OID) -> Note {
            let note = Note(ghost: oid)
            newest[oid] = ObjectIdentifier(note)
            return note
        }
        for step in 0..<20_000 {
            let oid = OID(rawValue: UInt64.random(in: 1...60, using: &random))
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<40:
                // Looked up, and loaded if it is not there.
                if let known = table[oid] {
                    #expect(newest[oid] == ObjectIdentifier(known), "step \(step)")
                    if random.chance(30) { table.use(known, bytes: 100) }
                    if random.chance(20) { held[oid] = known as? Note }
                } else {
                    #expect(held[oid] == nil && added[oid] == nil, "step \(step)")
                    let note = makeNote(oid)
                    let place = table.beginLoading(note, oid)
                    #expect(table[oid] === note)
                    if random.chance(80) { table.use(note, bytes: Int.random(in: 0...400, using: &random)) }
                    table.endLoading(place)
                    #expect(table[oid] === note)
                    if random.chance(30) { held[oid] = note }
                }
            case 40..<55 where table[oid] == nil:
                let note = makeNote(oid)
                if random.chance(50) {
                    table.add(note, oid)
                    added[oid] = ObjectIdentifier(note)
                } else {
                    table.insert(note, oid)
                    held[oid] = note
                }
            case 55..<75: held[oid] = nil
            case 75..<80:
                // Taken back, or removed elsewhere.
                table.remove(oid)
                (held[oid], added[oid], newest[oid]) = (nil, nil, nil)
                #expect(table[oid] == nil)
            case 80..<83:
                added = [:]
                _ = table.endTransaction()
            case 83: table.forgetRecent()
            case 84:
                // Another instance takes the place, as of a placeholder whose class is known now.
                guard added[oid] == nil else { continue }
                let note = makeNote(oid)
                table.insert(note, oid)
                held[oid] = note
            default: break
            }
            for (oid, note) in held where table[oid] !== note {
                Issue.record("step \(step): \(oid) is lost")
            }
            for (oid, note) in added where table[oid].map({ ObjectIdentifier($0) }) != note {
                Issue.record("step \(step): \(oid), which was added, is lost")
            }
            #expect(table.count <= Set(held.keys).union(added.keys).count + cached, "step \(step)")
        }
        added = [:]
        _ = table.endTransaction()
        table.forgetRecent()
        #expect(table.count == held.count)
        held = [:]
        #expect(table.count == 0)
    }
}
