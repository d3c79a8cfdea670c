extension Database {
    /// Removes what is no longer needed, while the database is in use: versions that nobody can look at from `moment`
    /// on, and objects, maps and arrays that nothing leads to (behaviours H29 to H32).
    ///
    /// What stays is everything that can be seen at `moment` or later, what tags show, everything that was changed after
    /// `moment`, and what any of it refers to, however often it was changed. From then on older moments cannot be looked
    /// at, and what was committed up to `moment` cannot be undone. A database that keeps no history loses what
    /// nothing leads to.
    ///
    /// References are those that states and entries have; an object that a program knows by number only is
    /// removed. A transaction under way that wants to refer to a removed object meets a ``ConflictError``.
    ///
    /// It works in small steps and can be given up, or killed, at any time. The file does not get shorter: its space is
    /// used again.
    ///
    /// - Parameters:
    ///   - moment: nil for now.
    ///   - collectsGarbage: whether objects are removed as well (H32).
    ///   - progress: called now and then; what it throws ends the work.
    /// - Throws: ``HistoryError/packing(path:)`` if somebody packs already, ``HistoryError/future(path:moment:last:)``,
    ///   ``StorageError``, among them ``StorageError/inDoubt(path:oid:part:transaction:)`` while a transaction is in doubt.
    /// - Complexity: O(records · log n), and a bit for each object.
    @discardableResult
    public func pack(
        before moment: Moment? = nil, collectsGarbage: Bool = true,
        progress: @escaping (PackProgress) throws -> Void = { _ in }
    ) throws -> PackReport {
        try LMDBPack.run(
            try openStorage(), before: moment, collectsGarbage: collectsGarbage, progress)
    }
}
