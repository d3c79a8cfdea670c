import Testing
import VirtMem

@testable import ZBigDB

@Suite("What packing is made of")
struct PackPartsTests {
    @Test("a version stays if it can be seen from the moment on, or by a tag")
    func retention() {
        var random = ArrayRandom("PackPartsTests.retention")
        for _ in 0..<300 {
            let versions = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Int.random(in: 1...20, using: &random)
            }
            let sorted = Set(versions).sorted(by: >)
            let start = Int.random(in: 0...22, using: &random)
            let tags = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                Int.random(in: 0...22, using: &random)
            }
            let retention = Retention(
                start: TID(rawValue: UInt64(start)), tagged: tags.map { TID(rawValue: UInt64($0)) })
            // What each moment from then on shows, and each tag.
            let moments = Array(start...40) + tags
            let seen = Set(moments.compactMap { moment in sorted.first { $0 <= moment } })
            for (index, version) in sorted.enumerated() {
                let newer = index > 0 ? TID(rawValue: UInt64(sorted[index - 1])) : nil
                #expect(
                    retention.keeps(TID(rawValue: UInt64(version)), newer: newer) == seen.contains(version),
                    "\(sorted) from \(start) with \(tags): \(version)")
            }
        }
    }

    @Test("sets of object numbers agree with those of the library")
    func oidSets() {
        var random = ArrayRandom("PackPartsTests.oidSets")
        var (set, model) = (OIDSet(), Set<OID>())
        for _ in 0..<5000 {
            let far = random.chance(10)
            let oid = OID(rawValue: far ? random.next() : UInt64.random(in: 0..<9000, using: &random))
            #expect(set.contains(oid) == model.contains(oid))
            #expect(set.insert(oid) == model.insert(oid).inserted)
        }
        for number in 0..<9000 {
            #expect(
                set.contains(OID(rawValue: UInt64(number))) == model.contains(OID(rawValue: UInt64(number))))
        }
    }

    private func value(_ random: inout ArrayRandom, depth: Int) -> CBORValue {
        if depth > 0 {
            let count = Int.random(in: 0...4, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return .array((0..<count).map { _ in value(&random, depth: depth - 1) })
            case 1:
                return .map(
                    (0..<count).map { _ in
                        .init(key: value(&random, depth: depth - 1), value: value(&random, depth: depth - 1))
                    })
            case 2:
                return .tagged(
                    [1, 37, 39, 258, 1001].randomElement(using: &random) ?? 1,
                    value(&random, depth: depth - 1))
            case 3:
                return .tagged(
                    39,
                    .array([
                        .unsigned(random.next() >> UInt64.random(in: 0..<64, using: &random)), .text("class"),
                    ]))
            default: break
            }
        }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return .unsigned(random.next() >> UInt64.random(in: 0..<64, using: &random))
        case 1: return .negative(random.next() >> 30)
        // Bytes and text that look like references.
        case 2: return .bytes([0xd8, 0x27, 0x82, 0x01, 0x61, 0x61].shuffled(using: &random))
        case 3: return .text(String(repeating: "'\u{82}", count: Int.random(in: 0..<200, using: &random)))
        case 4: return .double(Double(Int.random(in: -9...9, using: &random)) / 7)
        case 5: return .bool(random.chance(50))
        default: return .null
        }
    }

    private func references(_ value: CBORValue) -> [UInt64] {
        switch value {
        case .array(let items): return items.flatMap(references)
        case .map(let pairs): return pairs.flatMap { references($0.key) + references($0.value) }
        case .tagged(39, .array(let parts)):
            if parts.count == 2, case .unsigned(let oid) = parts[0] { return [oid] + references(parts[1]) }
            return parts.flatMap(references)
        case .tagged(_, let value): return references(value)
        default: return []
        }
    }

    @Test("H30 references are found wherever they are, and in nothing else; cut input is an error or an end")
    func scanner() throws {
        var random = ArrayRandom("PackPartsTests.scanner")
        var total = 0
        for _ in 0..<400 {
            let value = value(&random, depth: 5)
            var writer = CBORWriter()
            value.encode(into: &writer)
            var found: [UInt64] = []
            try writer.bytes.withUnsafeBytes { bytes in
                try ReferenceScanner.scan(bytes) { found.append($0.rawValue) }
            }
            #expect(found == references(value))
            total += found.count
            for _ in 0..<5 {
                let cut = Array(writer.bytes.prefix(Int.random(in: 0...writer.bytes.count, using: &random)))
                var some: [UInt64] = []
                cut.withUnsafeBytes { bytes in try? ReferenceScanner.scan(bytes) { some.append($0.rawValue) }
                }
                #expect(some == Array(found.prefix(some.count)))
                let noise = cut.map { random.chance(10) ? UInt8.random(in: 0...255, using: &random) : $0 }
                noise.withUnsafeBytes { bytes in try? ReferenceScanner.scan(bytes) { _ in } }
            }
        }
        #expect(total > 100)
    }

    @Test("pages of an older recipe come back into a newer one, each from its record")
    func restoring() {
        var random = ArrayRandom("PackPartsTests.restoring")
        let count = 24
        for _ in 0..<300 {
            // Each page of each recipe names a record and the page's place in it.
            var model: [[Int?]] = [[Int?](repeating: nil, count: count)]
            for version in 1...4 {
                var next = model[version - 1]
                for _ in 0..<3 {
                    if let page = (0..<count).randomElement(using: &random) {
                        next[page] = random.chance(85) ? version : nil
                    }
                }
                if version == 1 { next = [Int?](repeating: 1, count: count) }
                model.append(next)
            }
            func recipe(_ pages: [Int?]) -> BlockRecipe {
                BlockRecipe(
                    parts: Set(pages.compactMap { $0 }).sorted().map { record in
                        BlockPart(
                            kind: .full, block: BlockID(rawValue: UInt64(record)), offset: 4080,
                            storedPages: UInt32(count),
                            runs: pages.indices.reduce(into: []) { runs, page in
                                guard pages[page] == record else { return }
                                let count =
                                    runs.last?.pages.upperBound == page ? (runs.popLast()?.count ?? 0) : 0
                                let start = UInt32(page) - count
                                runs.append(PageRun(page: start, count: count + 1, slot: start))
                            })
                    })
            }
            var chosen = PageSet(pageCount: count)
            for _ in 0..<6 { chosen.insert(Int.random(in: 0..<count, using: &random)) }
            let old = Int.random(in: 0..<4, using: &random)
            let restored = recipe(model[4]).restoring(chosen, from: recipe(model[old]))
            let expected = (0..<count).map { chosen.contains($0) ? model[old][$0] : model[4][$0] }
            #expect(restored.differences(from: recipe(expected), pageCount: count).isEmpty)
            #expect(restored.parts.count == restored.blocks.count)
            for part in restored.parts {
                for (run, next) in zip(part.runs, part.runs.dropFirst()) {
                    #expect(run.page + run.count < next.page)
                }
            }
        }
    }
}
