import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Damage in changed pages and in extents")
struct DamagedPartTests {
    private static let block = Database.Configuration.small.blockSize
    private static let marker = Array("a page that is easy to find".utf8)
    private static let old = Array("what this page was long before".utf8)

    /// A file with an extent over all blocks, then changed pages in blocks 2 and 100. Page 7 of
    /// block 200 is found by the marker if `inExtent`, page 5 of block 2 otherwise; page 5 of
    /// block 2 was once `old`.
    private func make(_ path: String, inExtent: Bool) throws {
        let database = try Database(path, create: true, configuration: .small)
        let connection = try database.connect()
        let array = try connection.createArray("a", shape: [300 * Self.block], of: UInt8.self)
        try array.withUnsafeMutableBytes { bytes in
            _ = bytes.initializeMemory(as: UInt8.self, repeating: 7)
            bytes.baseAddress?.advanced(by: 2 * Self.block + 5 * 4096)
                .copyMemory(from: Self.old, byteCount: Self.old.count)
            if !inExtent { return }
            bytes.baseAddress?.advanced(by: 200 * Self.block + 7 * 4096)
                .copyMemory(from: Self.marker, byteCount: Self.marker.count)
        }
        // Together, so that they come to lie in one record.
        try array.spill()
        try connection.commit()
        #expect(try array.recipe(ofBlock: 200).parts.map(\.kind) == [.extent])
        for block in [2, 100] {
            for page in [1, 5, 9] { try array.setElement(block * Self.block + page * 4096, to: UInt8(8)) }
        }
        if !inExtent {
            let start = 2 * Self.block + 5 * 4096
            try array.write(
                Self.marker, to: [.range(start: start, stop: start + Self.marker.count, step: 1)])
        }
        try connection.commit()
        #expect(try array.recipe(ofBlock: 2).parts.map(\.kind) == [.extent, .delta])
        try connection.close()
        try database.close()
    }

    /// Changes one bit of the only page that begins with `bytes`.
    private func damage(_ path: String, _ bytes: [UInt8]) throws {
        var data = try #require(FileManager.default.contents(atPath: path))
        let place = try #require(data.range(of: Data(bytes)))
        try #require(data.range(of: Data(bytes), in: place.upperBound..<data.count) == nil)
        data[place.lowerBound + 3] ^= 1
        try data.write(to: URL(fileURLWithPath: path))
    }

    private func open(_ path: String, _ mode: LoadMode) throws -> Database {
        var configuration = mode.configuration
        configuration.verifiesOnLoad = true
        return try Database(path, configuration: configuration)
    }

    @Test(
        "a damaged page is named when its block is loaded, and by verify", arguments: LoadMode.allCases,
        [false, true])
    func named(_ mode: LoadMode, _ inExtent: Bool) throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try make(path, inExtent: inExtent)
        try damage(path, Self.marker)
        let (block, page) = inExtent ? (200, 7) : (2, 5)
        let database = try open(path, mode)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        // Others of the same record, of the same extent, are all right.
        for other in [0, 100, 250] {
            #expect(try array.element(other * Self.block + 3 * 4096, as: UInt8.self) == 7)
        }
        #expect(try array.element(100 * Self.block + 9 * 4096, as: UInt8.self) == 8)
        let error = #expect(throws: VirtMemError.self) {
            try array.element(block * Self.block, as: UInt8.self)
        }
        guard case .loadFailed(_, let failed, let cause as StorageError) = error,
            case .corrupt(_, let what) = cause
        else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(failed == block)
        #expect(what.contains("block \(block), page \(page)"))
        let problems = try database.verify().problems
        #expect(problems.map(\.block) == [block])
        #expect(problems.map(\.page) == [page])
        #expect(problems.map(\.oid) == [array.file.oid])
    }

    @Test(
        "damage in a page that was replaced hinders nobody; verify names it", arguments: LoadMode.allCases)
    func replaced(_ mode: LoadMode) throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try make(path, inExtent: false)
        try damage(path, Self.old)
        let database = try open(path, mode)
        let connection = try database.connect()
        let array = try connection.root.array("a")
        let start = 2 * Self.block + 5 * 4096
        let found = try array.read(
            [.range(start: start, stop: start + Self.marker.count, step: 1)], as: UInt8.self)
        #expect(found == Self.marker)
        let problems = try database.verify().problems
        #expect(problems.map(\.block) == [2])
        #expect(problems.map(\.page) == [5])
    }

    @Test("with checks at load, sound changed pages and extents are read right", arguments: LoadMode.allCases)
    func sound(_ mode: LoadMode) throws {
        let folder = try TemporaryFolder()
        let path = folder.file()
        try make(path, inExtent: true)
        let database = try open(path, mode)
        #expect(try database.information().mapsBlocks == (mode == .maps))
        let connection = try database.connect()
        let array = try connection.root.array("a")
        var expected = [UInt8](repeating: 7, count: 300 * Self.block)
        func put(_ bytes: [UInt8], _ block: Int, _ page: Int) {
            let at = block * Self.block + page * 4096
            expected.replaceSubrange(at..<(at + bytes.count), with: bytes)
        }
        put(Self.old, 2, 5)
        put(Self.marker, 200, 7)
        for block in [2, 100] { for page in [1, 5, 9] { put([8], block, page) } }
        #expect(try array.read(as: UInt8.self) == expected)
        #expect(try database.verify().problems == [])
    }
}
