internal import VirtMem

extension LMDBSnapshot {
    /// Writes blocks of an array anew, ascending: in one record if they are neighbours and enough for an
    /// extent. Returns the part that each is in, or nil for one of which nothing is stored.
    func copy(
        _ blocks: [(key: RecordKey, recipe: BlockRecipe)], blockSize: Int, to writer: LMDBBlockWriter
    ) throws -> [BlockPart?] {
        if let first = blocks.first?.key, let from = first.block, let to = blocks.last?.key.block,
            to - from + 1 == blocks.count, blocks.count * blockSize >= OpenExtent.fewestBytes
        {
            try writer.expect(first.oid, from..<(to + 1), blockSize: blockSize)
        }
        return try blocks.map { key, recipe in
            guard let number = key.block else { return nil }
            let compression = try compression(of: recipe)
            var bytes = [UInt8](repeating: 0, count: blockSize)
            return try unsafe bytes.withUnsafeMutableBytes { buffer in
                try unsafe read(recipe, ofBlock: number, into: buffer)
                let pages = recipe.pages(of: blockSize / systemPageSize)
                return try unsafe writer.store(
                    NewBlock(
                        oid: key.oid, number: number, bytes: UnsafeRawBufferPointer(buffer), pages: pages,
                        compression: compression))
            }
        }
    }
}
