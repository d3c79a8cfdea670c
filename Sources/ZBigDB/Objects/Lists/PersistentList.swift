/// A sequence in the database, of any size: elements are looked up by their position where they are stored, and never
/// all loaded.
///
/// ```swift
/// let tracks = PersistentList<Track>()
/// try connection.root.set("tracks", tracks)
/// try tracks.append(Track())
/// try tracks.insert(contentsOf: album, at: 0)
/// for track in try tracks.page(in: 20..<40) { print(track.title) }
/// ```
///
/// A list is a reference to an object of its own: copies of the value are the same list. It can be a property of a
/// persistent class, an entry of a map, an element of another list, or have a name in the root. It shows the
/// connection's snapshot with the changes of the current transaction.
///
/// Elements lie in leaves of some hundred, each of them a record. Transactions that replace elements in different
/// leaves do not conflict. Those that insert or remove elements do, wherever in the list: they change the
/// positions of the others, so one of them has to begin anew, as `Database.write` does by itself. So does replacing an
/// element now and then, if its new value is so much larger that its leaf is divided. Where many writers
/// add elements at once and positions do not matter, a ``PersistentMap`` is the better choice.
///
/// An element is written when it is put in: changing a value type that was read changes nothing in the list.
/// Elements that are persistent objects are references and keep their identity.
public struct PersistentList<Element: PersistentValue>: PersistentReference {
    /// The object that keeps the elements.
    public let object: ListObject

    /// A new, empty list. It is stored with what refers to it.
    public init() { object = ListObject() }

    private init(_ object: ListObject) { self.object = object }

    /// The object that keeps the elements.
    public var persistentObject: PersistentObject { object }

    /// The list whose elements `object` keeps.
    ///
    /// - Throws: ``DatabaseError/wrongClass(what:expected:found:)``. The type of the elements is checked when they
    ///   are read.
    public static func reference(to object: PersistentObject) throws -> PersistentList {
        PersistentList(try ListObject.reference(to: object))
    }

    // MARK: One element

    /// The number of elements.
    ///
    /// - Complexity: O(log n) once a transaction, then O(1).
    public var count: Int { get throws { try object.count() } }

    /// Whether there is no element.
    public var isEmpty: Bool { get throws { try count == 0 } }

    /// The element at `index`.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``, ``StorageError``,
    ///   ``DatabaseError/unreadable(path:oid:reason:)`` if the element is of another type.
    /// - Complexity: O(log n).
    public subscript(index: Int) -> Element {
        get throws { try element(try object.place(of: index)) }
    }

    /// The first element, or nil if there is none.
    ///
    /// - Complexity: O(log n).
    public var first: Element? { get throws { try isEmpty ? nil : self[0] } }

    /// The last element, or nil if there is none.
    ///
    /// - Complexity: O(log n).
    public var last: Element? {
        get throws {
            let count = try count
            return try count == 0 ? nil : self[count - 1]
        }
    }

    /// Puts `element` in the place of the one at `index`, which is not looked at.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``, what ``Transaction/join(_:)`` throws.
    /// - Complexity: O(log n).
    public func update(_ element: Element, at index: Int) throws {
        try object.replace(index, with: try object.items(element))
    }

    // MARK: Inserting

    /// Adds `element` at the end.
    ///
    /// - Throws: what ``Transaction/join(_:)`` throws, ``StorageError``.
    /// - Complexity: O(log n).
    public func append(_ element: Element) throws {
        try object.insert([try object.items(element)], at: nil)
    }

    /// Adds elements at the end. If one of them cannot be encoded, none is added.
    ///
    /// - Complexity: O(elements added + log n), which is much quicker than adding them one by one.
    @inlinable
    public func append(contentsOf elements: some Sequence<Element>) throws {
        try insert(elements, at: nil)
    }

    /// Inserts `element` before the one at `index`, or at the end.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``, what ``Transaction/join(_:)`` throws.
    /// - Complexity: O(log n).
    public func insert(_ element: Element, at index: Int) throws {
        try object.insert([try object.items(element)], at: index)
    }

    /// Inserts elements before the one at `index`, or at the end. If one of them cannot be encoded, none is inserted.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``, what ``Transaction/join(_:)`` throws.
    /// - Complexity: O(elements inserted + log n).
    @inlinable
    public func insert(contentsOf elements: some Sequence<Element>, at index: Int) throws {
        try insert(elements, at: index)
    }

    /// Goes through the sequence in the client's code, and takes some elements at a time from there.
    @inlinable
    func insert(_ elements: some Sequence<Element>, at index: Int?) throws {
        var insertion = try ListInsertion(self)
        var portion: [Element] = []
        portion.reserveCapacity(256)
        for element in elements {
            portion.append(element)
            guard portion.count == 256 else { continue }
            try insertion.add(portion)
            portion.removeAll(keepingCapacity: true)
        }
        try insertion.add(portion)
        try insertion.finish(at: index)
    }

    // MARK: Removing

    /// Removes the element at `index`; those behind it move up.
    ///
    /// - Returns: the element.
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``, what ``Transaction/join(_:)`` throws. An element
    ///   that cannot be read stays; see ``removeSubrange(_:)``.
    /// - Complexity: O(log n).
    @discardableResult
    public func remove(at index: Int) throws -> Element {
        let element = try self[index]
        try object.remove(index..<(index + 1))
        return element
    }

    /// Removes and returns the first element; nil if there is none.
    ///
    /// - Complexity: O(log n).
    @discardableResult
    public func popFirst() throws -> Element? { try isEmpty ? nil : remove(at: 0) }

    /// Removes and returns the last element; nil if there is none.
    ///
    /// - Complexity: O(log n).
    @discardableResult
    public func popLast() throws -> Element? {
        let count = try count
        return try count == 0 ? nil : remove(at: count - 1)
    }

    /// Removes the elements of a range, such as `10..<20` or `10...`, without reading them.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)`` if not all of them are there.
    /// - Complexity: O(elements removed / some hundred · log n).
    public func removeSubrange(_ range: some RangeExpression<Int>) throws { try object.remove(range) }

    /// Removes all elements, without reading them.
    public func removeAll() throws { try object.remove(0...) }

    /// Moves an element: it is at index `end` afterwards, and those between move by one.
    ///
    /// - Throws: ``DatabaseError/indexOutOfRange(what:index:count:)``.
    /// - Complexity: O(log n). The element is not decoded.
    public func move(from start: Int, to end: Int) throws { try object.move(start, to: end) }

    // MARK: Values

    func element(_ place: ListTree.Place) throws -> Element {
        switch place {
        case .encoded(let bytes, let start):
            try openConnection.decode(bytes, at: start, of: object.oid ?? .root) {
                try Element.decode(from: &$0)
            }
        case .kept(let value): try element(value)
        }
    }

    private func element(_ value: any PersistentValue) throws -> Element {
        if let element = value as? Element { return element }
        throw DatabaseError.wrongClass(
            what: "an element of \(object.objectLabel)", expected: "\(Element.self)",
            found: "\(type(of: value))")
    }

    private var openConnection: Connection {
        get throws {
            if let connection = object.connection { return connection }
            throw DatabaseError.connectionClosed(what: object.objectLabel)
        }
    }

    /// Decodes the elements of a run as far as they can be read; returns why not all can.
    func decode(_ run: ListWalk.Run, _ elements: inout [Element]) -> (any Error)? {
        do {
            if run.items.kept.isEmpty {
                try run.items.decode(run.places, try openConnection, into: &elements)
            } else {
                for value in run.items.kept[run.places] { elements.append(try element(value)) }
            }
            return nil
        } catch {
            guard error is CBORReader.Malformed || error is DecodingError else { return error }
            return DatabaseError.unreadable(
                path: object.connection?.path ?? "", oid: object.oid ?? .root, reason: "\(error)")
        }
    }
}

/// Elements on their way into a list.
@usableFromInline
struct ListInsertion<Element: PersistentValue> {
    private let object: ListObject
    private var portions: ListPortions

    @usableFromInline
    init(_ list: PersistentList<Element>) throws {
        object = list.object
        portions = try object.portions()
    }

    @usableFromInline
    mutating func add(_ elements: [Element]) throws { try portions.add(contentsOf: elements) }

    /// - Parameter index: nil for the end.
    @usableFromInline
    mutating func finish(at index: Int?) throws { try object.insert(portions.finish(), at: index) }
}

extension ListLeaf {
    /// Appends the elements at some places, up to the first that cannot be read.
    @_specialize(where Value == Int)
    @_specialize(where Value == Double)
    @_specialize(where Value == String)
    fileprivate func decode<Value: PersistentValue>(
        _ places: Range<Int>, _ connection: Connection, into values: inout [Value]
    ) throws {
        values.reserveCapacity(values.count + places.count)
        var decoder = StateDecoder(bytes, connection: connection)
        for place in places {
            decoder.reader.position = start(place)
            values.append(try Value.decode(from: &decoder))
        }
    }
}
