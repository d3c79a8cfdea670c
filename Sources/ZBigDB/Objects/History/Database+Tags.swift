// Named moments. They outlive packing: what a tag shows is kept until the tag is removed.

extension Database {
    /// Gives a moment a name, so that it can be looked at as `.tag(name)` for as long as the tag is there.
    ///
    /// - Parameters:
    ///   - name: up to 255 bytes of UTF-8.
    ///   - moment: nil for now.
    /// - Throws: ``HistoryError/tagExists(path:name:)``, ``HistoryError/noHistory(path:last:)``,
    ///   and for a moment that cannot be looked at as ``connect(at:)``; ``StorageError``.
    @discardableResult
    public func addTag(_ name: String, at moment: Moment? = nil) throws -> Tag {
        try openStorage().addTag(name, at: moment)
    }

    /// All tags, in the order of their names' UTF-8 bytes.
    public func tags() throws -> [Tag] { try openStorage().tags() }

    /// Removes a tag. What only it showed goes with the next packing.
    ///
    /// - Throws: ``HistoryError/noSuchTag(path:name:)``, ``StorageError``.
    public func removeTag(_ name: String) throws { try openStorage().removeTag(name) }
}
