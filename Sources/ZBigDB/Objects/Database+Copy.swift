extension Database {
    /// Copies the database into a new file, as its last transaction left it: with the same transactions, objects, old versions
    /// and tags (behaviour H42). Others read and write meanwhile.
    ///
    /// The file appears when it is complete and on the disk. A transaction that is in doubt is in doubt in the copy
    /// as well.
    ///
    /// - Parameters:
    ///   - path: the new file, which must not be there.
    ///   - progress: called now and then; what it throws ends the work.
    /// - Returns: the bytes of the copy.
    /// - Throws: ``StorageError/exists(path:)``, ``StorageError/diskFull(path:)``, among others.
    /// - Complexity: O(bytes of the file). What others replace meanwhile keeps its space until the copy is done.
    @discardableResult
    public func copy(to path: String, progress: (CopyProgress) throws -> Void = { _ in }) throws -> Int {
        try LMDBCopy.run(try openStorage().environment, to: path, progress)
    }
}
