#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A place in a database's history.
public enum Moment: Sendable, Equatable {
    /// Right after this transaction.
    case transaction(TID)
    /// Right before this transaction.
    case before(TID)
    /// What had been committed by then.
    case date(Date)
    /// The moment that was given this name; see ``Database/addTag(_:at:)``.
    case tag(String)
}

extension TID {
    /// When the transaction was committed, to the microsecond.
    public var date: Date { Date(timeIntervalSince1970: Double(rawValue) / 1e6) }

    /// The first that may come after it.
    var next: TID { TID(rawValue: rawValue + 1) }

    /// The last moment a transaction of `date` may have.
    init(_ date: Date) {
        let microseconds = (date.timeIntervalSince1970 * 1e6).rounded()
        rawValue = microseconds <= 0 ? 0 : min(UInt64(exactly: microseconds) ?? .max, TID.largest.rawValue)
    }
}
