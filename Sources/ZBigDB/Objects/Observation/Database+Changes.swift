extension Database {
    /// Committed transactions that change anything, from the last one on or behind a given one.
    ///
    /// Commits of this process are delivered at once, those of others within a tenth of a second.
    ///
    /// ```swift
    /// for try await change in database.changes() where change.contains(account) { ... }
    /// ```
    ///
    /// What can be wrong with what is to be observed is thrown by the first step of the iteration.
    ///
    /// - Parameter after: begin behind this transaction; it may be one that was delivered to an earlier
    ///   run of the program, as long as the log goes back that far.
    /// - Complexity: each transaction is looked at in O(its changes); waiting costs ten look-ups a second for all
    ///   observers together.
    public func changes(after: TID? = nil) -> CommittedChanges {
        CommittedChanges(
            watch: watch, filter: .success(.all),
            start: Result { try after ?? openStorage().openSnapshot().tid })
    }

    /// The transactions of a range that changed anything, the oldest first, the first and last of the range included
    /// (behaviour H41): what there is now, without waiting for more.
    ///
    /// What a transaction made of an object shows a connection at it, see ``connect(at:)``, or ``Connection/history(of:before:limit:)``;
    /// an object that is not there was removed by it. One that undid others has their numbers in its metadata, as "undo".
    ///
    /// - Parameters:
    ///   - first: where to begin; nil for the oldest that the log still has.
    ///   - last: where to end; nil for the last one there is.
    ///   - limit: how many transactions of the log are looked at: the next page begins behind the last of this one.
    /// - Throws: ``ChangesForgotten`` if the log does not go back to `first` any more, ``StorageError``.
    /// - Complexity: O(changes of these transactions).
    public func committedChanges(from first: TID? = nil, through last: TID? = nil, limit: Int = 1000) throws
        -> [CommittedChange]
    {
        let storage = try openStorage()
        let snapshot = try storage.openSnapshot()
        let before = try first.map { TID(rawValue: max($0.rawValue, 1) - 1) } ?? storage.logStart()
        guard let records = try snapshot.transactions(after: before, limit: limit) else {
            throw ChangesForgotten(path: path, after: before)
        }
        return records.prefix { $0.tid <= last ?? .largest }
            .compactMap { CommittedChange($0, .all, path: path) }
    }

    /// Committed transactions that change an object, any entry of a map or set, or any element of a list or array.
    ///
    /// It begins behind what the object's connection shows, so nothing falls between looking and observing:
    ///
    /// ```swift
    /// show(account.balance)
    /// for try await _ in database.changes(of: account) { try connection.begin(); show(account.balance) }
    /// ```
    ///
    /// - Parameters:
    ///   - reference: what to observe. It must have been added to a connection.
    ///   - after: begin behind this transaction instead.
    public func changes(of reference: some PersistentReference, after: TID? = nil) -> CommittedChanges {
        changes(of: reference.persistentObject, after) { oid in
            let file = (reference.persistentObject as? BigArray)?.file.oid
            return .objects([oid] + (file.map { [$0] } ?? []))
        }
    }

    /// Committed transactions that change entries of a map whose keys are in a range.
    public func changes<Key: PersistentKey, Value>(
        of map: PersistentMap<Key, Value>, keys: any MapRangeExpression<Key>, after: TID? = nil
    ) -> CommittedChanges {
        changes(of: map.object, after) { .entries($0, try SubkeyRange(keys)) }
    }

    /// Committed transactions that add or remove elements of a set that are in a range.
    public func changes<Element: PersistentKey>(
        of set: PersistentSet<Element>, elements: any MapRangeExpression<Element>, after: TID? = nil
    ) -> CommittedChanges {
        changes(of: set.persistentObject, after) { .entries($0, try SubkeyRange(elements)) }
    }

    /// Committed transactions that change blocks with some elements of an array: other elements of these blocks count
    /// as well.
    ///
    /// - Parameters:
    ///   - array: one of a connection to this database.
    ///   - elements: in the order in which they lie in memory. They may lie behind the array's end.
    ///   - after: only transactions behind this one; nil for those behind what the array's connection shows.
    public func changes(of array: BigArray, elements: Range<Int>, after: TID? = nil) -> CommittedChanges {
        changes(of: array, after) { _ in
            guard let file = array.file.oid else { throw DatabaseError.notAdded(name: array.objectLabel) }
            let (item, block) = (array.itemSize, array.file.blockSize)
            let end = (elements.upperBound * item + block - 1) / block
            return .blocks(file, elements.isEmpty ? 0..<0 : (elements.lowerBound * item / block)..<end)
        }
    }

    private func changes(
        of object: PersistentObject, _ after: TID?, _ filter: (OID) throws -> ChangeFilter
    ) -> CommittedChanges {
        CommittedChanges(
            watch: watch,
            filter: Result {
                guard let oid = object.oid else { throw DatabaseError.notAdded(name: object.objectLabel) }
                try object.activate()
                return try filter(oid)
            },
            start: Result {
                if let after { return after }
                guard let connection = object.connection else {
                    throw DatabaseError.notAdded(name: object.objectLabel)
                }
                return try connection.tid
            })
    }
}
