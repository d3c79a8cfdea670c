import Testing
import VirtMem

@testable import ZBigDB

// What tests look at below arrays: recipes, places in the file, counts of reliance.

extension BigArray {
    /// How a block is stored, as the connection's snapshot has it.
    func recipe(ofBlock block: Int) throws -> BlockRecipe {
        let connection = try #require(self.connection)
        let oid = try #require(file.oid)
        return try connection.snapshot.record(RecordKey(oid, block: block))?.value.recipe ?? BlockRecipe()
    }

    /// Where the blocks can be mapped from.
    func sources(_ blocks: Range<Int>) throws -> [BlockSource] {
        let connection = try #require(self.connection)
        return try connection.snapshot.sources(
            try #require(file.oid), blocks, blockSize: file.blockSize)
    }

    /// Sets all bytes, or those of a range.
    func setBytes(_ byte: UInt8, in range: Range<Int>? = nil) throws {
        try withUnsafeMutableBytes(of: range) { bytes in
            _ = bytes.initializeMemory(as: UInt8.self, repeating: byte)
        }
    }

    /// Stores all changes ahead of the commit, as a full budget would.
    func spill() throws { try memory().spillAll() }
}

extension Database {
    /// How many blocks rely on each record that says so.
    func shares() throws -> [BlockID: Int] {
        let storage = try openStorage()
        return try storage.environment.read { transaction throws(StorageError) in
            var shares: [BlockID: Int] = [:]
            let cursor = try transaction.cursor(storage.format.shares)
            var entry = try cursor.first()
            while let at = entry {
                // The upper half is how many there were at first.
                let count = UInt32(littleEndian: at.value.loadUnaligned(as: UInt32.self))
                shares[BlockID(rawValue: UInt64(bigEndianBytes: at.key[...]))] = Int(count)
                entry = try cursor.next()
            }
            return shares
        }
    }

    /// The numbers of all block records.
    func blockIDs() throws -> Set<BlockID> {
        let storage = try openStorage()
        return try storage.environment.read { transaction throws(StorageError) in
            var ids: Set<BlockID> = []
            let cursor = try transaction.cursor(storage.format.blocks)
            var entry = try cursor.first()
            while let at = entry {
                ids.insert(BlockID(rawValue: UInt64(bigEndianBytes: at.key[...])))
                entry = try cursor.next()
            }
            return ids
        }
    }

    /// Every record is named by somebody and says of how many, and nothing is left over. For
    /// databases without history, at a time when nothing is pending.
    func expectExactBlocks(_ arrays: [BigArray], sourceLocation: SourceLocation = #_sourceLocation) throws {
        var naming: [BlockID: Int] = [:]
        for array in arrays {
            let connection = try #require(array.connection)
            let blocks = (array.byteCount + array.file.blockSize - 1) / array.file.blockSize
            // Behind its end an array has no blocks at all.
            let parts = try connection.snapshot.parts(of: try #require(array.file.oid), from: [], limit: .max)
            #expect(parts.allSatisfy { $0.key.block ?? 0 < blocks }, sourceLocation: sourceLocation)
            for part in parts { for id in part.value.recipe?.blocks ?? [] { naming[id, default: 0] += 1 } }
        }
        let shares = try self.shares()
        #expect(try blockIDs() == Set(naming.keys), sourceLocation: sourceLocation)
        #expect(Set(shares.keys).isSubset(of: naming.keys), sourceLocation: sourceLocation)
        #expect(naming.allSatisfy { shares[$0.key] ?? 1 == $0.value }, sourceLocation: sourceLocation)
        #expect(try information().pendingBlocks == 0, sourceLocation: sourceLocation)
        #expect(try verify().problems == [], sourceLocation: sourceLocation)
    }
}
