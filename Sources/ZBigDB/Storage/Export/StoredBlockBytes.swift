extension StorageSnapshot {
    /// What is stored of a block, without the zeros at its end.
    func bytes(_ recipe: BlockRecipe, ofBlock number: Int, blockSize: Int) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: blockSize)
        try unsafe bytes.withRawMutableBytes { buffer throws(StorageError) in
            try unsafe read(recipe, ofBlock: number, into: buffer)
        }
        let end = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        bytes.removeLast(bytes.count - end)
        return bytes
    }
}

extension [UInt8] {
    /// The same as `withUnsafeMutableBytes`, with an error of any type.
    fileprivate mutating func withRawMutableBytes<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try unsafe withUnsafeMutableBufferPointer { bytes throws(E) in
            try unsafe body(UnsafeMutableRawBufferPointer(bytes))
        }
    }
}
