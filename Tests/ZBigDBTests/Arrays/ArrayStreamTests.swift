import Foundation
import Testing
import VirtMem

@testable import ZBigDB

@Suite("Streaming arrays")
struct ArrayStreamTests {
    private static let block = Database.Configuration.small.blockSize

    private func streamed(_ array: BigArray, _ range: Range<Int>? = nil) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var expected = range?.lowerBound ?? 0
        try array.forEachPiece(of: range) { offset, piece in
            #expect(offset == expected && !piece.isEmpty && piece.count <= 2 << 20)
            expected += piece.count
            bytes += piece
        }
        return bytes
    }

    @Test(
        "pieces are the array as its transaction sees it: holes, extents, deltas, changes, what is dropped",
        arguments: LoadMode.allCases)
    func equalsMemory(_ mode: LoadMode) throws {
        var random = ArrayRandom("ArrayStreamTests.equalsMemory")
        let temporary = try TemporaryDatabase(mode.configuration)
        let connection = try temporary.database.connect()
        let size = OpenExtent.mostBytes + 40 * Self.block + 123
        let array = try connection.createArray("a", shape: [size], of: UInt8.self)
        var model = [UInt8](repeating: 0, count: size)
        func write(_ range: Range<Int>, _ value: UInt8) throws {
            for at in stride(from: range.lowerBound, to: range.upperBound, by: 1000) { model[at] = value }
            try array.withUnsafeMutableBytes(of: range) { bytes in
                for at in stride(from: 0, to: range.count, by: 1000) { bytes[at] = value }
            }
        }
        #expect(try streamed(array) == model)
        try write(0..<OpenExtent.mostBytes, 7)
        try connection.commit()
        for _ in 0..<30 {
            let start = Int.random(in: 0..<(size - 3000), using: &random)
            try write(start..<(start + 3000), .random(in: 1...255, using: &random))
            if Bool.random(using: &random) { try connection.commit() }
        }
        try #require(streamed(array) == model)
        for _ in 0..<20 {
            let start = Int.random(in: 0..<size, using: &random)
            let end = Int.random(in: start...min(size, start + 300_000), using: &random)
            #expect(try streamed(array, start..<end) == Array(model[start..<end]))
        }
        try connection.commit()
        // Cut off and longer again: zeros, before and after the commit.
        try array.resize([size / 2])
        try array.resize([size])
        for at in (size / 2)..<size { model[at] = 0 }
        try #require(streamed(array) == model)
        try write((size - 5000)..<size, 3)
        try #require(streamed(array) == model)
        try connection.commit()
        #expect(try streamed(array) == model)
    }

    @Test("elements come whole and numbered; another type is an error")
    func elements() throws {
        let temporary = try TemporaryDatabase()
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [100_000], of: Int32.self)
        try array.withUnsafeMutableBytes { bytes in
            for index in 0..<100_000 {
                bytes.storeBytes(of: Int32(index), toByteOffset: 4 * index, as: Int32.self)
            }
        }
        try connection.commit()
        var next = 0
        try array.forEachPiece(as: Int32.self) { first, elements in
            #expect(first == next)
            #expect(elements.enumerated().allSatisfy { $1 == Int32(first + $0) })
            next += elements.count
        }
        #expect(next == 100_000)
        #expect(throws: ArrayError.self) { try array.forEachPiece(as: Int64.self) { _, _ in } }
    }
}
