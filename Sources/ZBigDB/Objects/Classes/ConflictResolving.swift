internal import Logging

/// A persistent class whose changes can be brought together when two transactions change the same object.
///
/// ```swift
/// extension Account: ConflictResolving {
///     func resolveConflict(old: Account, committed: Account) {
///         balance = committed.balance + (balance - old.balance)
///     }
/// }
/// ```
///
/// Implement it in a final class. Behaviours H10 and H11.
public protocol ConflictResolving: Persistent {
    /// Changes this object, which is a copy with the state this transaction wants to commit, into what
    /// shall be committed instead.
    ///
    /// Called while the commit lock is held: be quick, and touch nothing but the three states. Objects they
    /// refer to can be compared by identity; their properties are those this transaction sees.
    ///
    /// - Parameters:
    ///   - old: the state both transactions started from.
    ///   - committed: what the other transaction made of it.
    /// - Throws: any error: the commit fails with the ``ConflictError``.
    func resolveConflict(old: Self, committed: Self) throws
}

extension Connection {
    /// What becomes of a write whose object somebody else has changed; nil: a conflict.
    func resolve(_ write: RecordWrite, _ committed: StoredRecord) -> RecordValue? {
        guard write.key.subkey.isEmpty, let object = known(write.key.oid) as? any ConflictResolving,
            case .state(let new) = write.value, case .state(let theirs) = committed.value
        else { return nil }
        do {
            guard let base = try snapshot.record(write.key), base.tid == write.base,
                case .state(let old) = base.value
            else { return nil }
            let before = changed.count
            let merged = try merge(object, old: old, committed: theirs, new: new)
            // What refers to a new object cannot be stored any more.
            guard changed.count == before else { return nil }
            commit.resolved.insert(write.key.oid)
            return .state(merged)
        } catch {
            Log.transactions.notice("a conflict on \(object.objectLabel) was not resolved: \(error)")
            return nil
        }
    }

    func merge<T: ConflictResolving>(_ object: T, old: [UInt8], committed: [UInt8], new: [UInt8])
        throws
        -> [UInt8]
    {
        func copy(_ bytes: [UInt8]) throws -> T {
            let copy = type(of: object).init()
            return try decode(bytes, of: object.oid ?? .root) { decoder in
                try copy.decodeRecord(&decoder)
                // In no database: its properties are not loaded, and changing them is no change.
                copy.objectStatus = .unsaved
                return copy
            }
        }
        let result = try copy(new)
        try result.resolveConflict(old: try copy(old), committed: try copy(committed))
        var encoder = StateEncoder(connection: self)
        try result.encodeRecord(&encoder)
        return encoder.writer.bytes
    }
}

/// A number that many transactions can change at once: none of them conflicts with another.
///
/// Its value is the one of the transaction's snapshot with this transaction's increments; after the commit,
/// those of others are in it as well.
public final class PersistentCounter: Persistent, ConflictResolving {
    /// The name its class is stored under.
    public override class var className: String { "zbigdb.PersistentCounter" }

    /// The value.
    @Persisted public private(set) var value = 0

    /// A counter that begins with `value`.
    public convenience init(_ value: Int) {
        self.init()
        self.value = value
    }

    /// Adds `amount`, which may be negative.
    ///
    /// - Complexity: O(1).
    public func increment(by amount: Int = 1) { value += amount }

    /// Adds both transactions' increments.
    public func resolveConflict(old: PersistentCounter, committed: PersistentCounter) {
        value = committed.value + (value - old.value)
    }
}
