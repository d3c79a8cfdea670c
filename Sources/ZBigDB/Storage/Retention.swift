/// Which versions of records stay when a database is packed: those that can be seen from a moment on,
/// and those that tags before it show.
struct Retention: Sendable, Equatable {
    let start: TID
    /// Ascending, all before ``start``.
    let tagged: [TID]

    init(start: TID, tagged: [TID] = []) {
        self.start = start
        self.tagged = tagged.filter { $0 < start }.sorted()
    }

    /// All versions there are.
    static let everything = Retention(start: .zero)
    /// The newest of each record.
    static let newest = Retention(start: .largest)

    /// - Parameter newer: the next newer version of the record, if there is one.
    func keeps(_ version: TID, newer: TID?) -> Bool {
        guard version <= start, let newer, newer <= start else { return true }
        return tagged.contains { version <= $0 && $0 < newer }
    }
}
