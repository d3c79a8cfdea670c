import Testing
import VirtMem

@testable import ZBigDB

/// Blocks that are copied into memory which connections share.
@Suite("Shared frames")
struct SharedFrameTests {
    @Test("a block that is loaded from another snapshot than its key is from is not shared under it")
    func boundaryBetween() throws {
        let temporary = try TemporaryDatabase(LoadMode.copies.configuration)
        let connection = try temporary.database.connect()
        let array = try connection.createArray("a", shape: [1000], of: UInt8.self)
        try array.setBytes(1)
        try connection.commit()
        let oid = try #require(array.file.oid)
        let storage = try connection.storage
        let old = try storage.openSnapshot()
        let box = SnapshotBox(old)
        let backend = ArrayBackend(
            oid: oid, blockSize: array.file.blockSize, path: temporary.path, box: box,
            ahead: AheadWriter(storage), policy: RewritePolicy(keepsHistory: false), compression: .none)
        guard case .loadShared(let key) = try backend.sources(of: 0..<1)[0] else {
            Issue.record("it has no key")
            return
        }
        /// The first byte that is loaded, and whether it is what the key names.
        func load() throws -> (UInt8, Bool) {
            var bytes = [UInt8](repeating: 0, count: backend.blockSize)
            let isOfKey = try bytes.withUnsafeMutableBytes { try backend.loadblk(0, of: key, into: $0) }
            return (bytes[0], isOfKey)
        }
        #expect(try load() == (1, true))
        try array.setBytes(2)
        try connection.commit()
        #expect(try load() == (1, true))
        box.replace(with: try storage.openSnapshot())
        #expect(try load() == (2, false))
    }
}
