/// What storage does not know of the states that undoing brings back.
struct UndoRules {
    /// Brings what was undone together with what was committed since: a state, or nil for a conflict.
    let resolve: (_ oid: OID, _ old: [UInt8], _ committed: [UInt8], _ new: [UInt8]) -> [UInt8]?
    /// The file an array lies in and how many bytes it has; nil if the state is not an array's.
    let extent: (_ state: [UInt8]) -> (file: OID, bytes: Int)?
    /// Bytes in a block of an array file; nil if the state is not one's.
    let blockSize: (_ state: [UInt8]) -> Int?
}

/// A transaction cannot be undone, because what it changed was changed again since.
public struct UndoError: Error, Equatable, CustomStringConvertible {
    /// The object both changed.
    public let oid: OID
    /// The class of the object, if known.
    public var className: String?
    /// What of the object: a block of an array, an entry of a map, or the object's own state.
    public let part: String
    /// The transaction that was to be undone.
    public let undone: TID
    /// The transaction that changed it since.
    public let current: TID

    /// A sentence for people.
    public var description: String {
        let name = className.map { "\($0) " } ?? "object "
        return
            "transaction \(undone) cannot be undone: \(name)\(oid), \(part) was changed again by \(current); "
            + "undo that one as well, or change the object by hand"
    }
}
