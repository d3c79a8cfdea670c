/// What one transaction made of an object.
public struct ObjectVersion: Sendable, Equatable {
    /// The transaction, which is also the time.
    public let tid: TID
    /// Who made it; empty also if the log no longer has the transaction.
    public internal(set) var user = ""
    /// Why; empty also if the log no longer has the transaction.
    public internal(set) var note = ""
    /// Further facts about the transaction, by name.
    public internal(set) var metadata: [String: String] = [:]
    /// The object's class and properties, if the transaction changed them and they are kept.
    public internal(set) var state: StoredState?
    /// Whether the transaction removed the object, as undoing its creation does.
    public internal(set) var isRemoval = false
    /// Bytes of the stored state.
    public internal(set) var size = 0
    /// The keys of entries it changed, added or removed, if it is a map, a set or the root; the numbers of the nodes, if it
    /// is a list.
    public internal(set) var entries: [StoredValue] = []
    /// The numbers of the blocks it changed, if it is an array.
    public internal(set) var blocks: [Int] = []
}

/// An object's stored state.
public struct StoredState: Sendable, Equatable {
    /// The name of its class.
    public let className: String
    /// The version of the state's form.
    public let version: Int
    /// The properties.
    public let properties: StoredValue
}
