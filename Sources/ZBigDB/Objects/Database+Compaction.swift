internal import VirtMem

extension Database {
    /// Brings stored arrays in order while the database is in use: blocks that lie in several
    /// pieces are joined, runs of blocks go into large records that are fast to read, and space
    /// that is mostly unused is given back. The file does not get shorter; see
    /// ``rewrite(_:configuration:progress:)``.
    ///
    /// It works in small steps and can be given up, or killed, at any time. Others read and write
    /// meanwhile; it conflicts with nobody.
    ///
    /// - Parameter progress: called now and then; what it throws ends the work.
    /// - Throws: ``StorageError``.
    /// - Complexity: O(records), and O(bytes) of what moves.
    @discardableResult
    public func compact(progress: @escaping (CompactionProgress) throws -> Void = { _ in }) throws
        -> CompactionReport
    {
        let storage = try openStorage()
        if storage.isReadOnly { throw StorageError.readOnly(path: path) }
        var compaction = LMDBCompaction(storage, progress)
        try compaction.run()
        return compaction.report
    }

    /// Rewrites the database file at `path`, which nobody may have open: as short as its content, all
    /// arrays in order.
    ///
    /// The new file is made beside the old one, which needs the space for both, and takes its
    /// place when it is complete. Until then the old file stays as it is, whatever happens.
    ///
    /// - Parameters:
    ///   - path: the database file.
    ///   - configuration: as for opening it.
    ///   - progress: called now and then; what it throws ends the work.
    /// - Throws: ``StorageError/inUse(path:)``, and as opening does.
    @discardableResult
    public static func rewrite(
        _ path: String, configuration: Configuration = Configuration(),
        progress: @escaping (CompactionProgress) throws -> Void = { _ in }
    ) throws -> CompactionReport {
        if configuration.isReadOnly { throw StorageError.readOnly(path: path) }
        return try LMDBRewrite.run(path, options(configuration), progress)
    }
}
