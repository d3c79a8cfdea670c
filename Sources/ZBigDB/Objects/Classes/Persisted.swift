/// A stored property of a ``Persistent`` class.
///
/// Reading it loads the object if that has not happened yet; writing it registers the object for the
/// next commit. Neither can throw: where loading fails, because the file is damaged or the
/// connection was closed, the process stops with a message that names the object. Call
/// ``PersistentObject/activate()`` first to have an error thrown instead. A change that cannot be registered,
/// because the transaction's commit failed before or none has begun, is never stored: the next
/// commit or begin says so.
@propertyWrapper
public struct Persisted<Value: PersistentValue> {
    @usableFromInline var value: Value

    /// A property with a value to begin with, which is also what states without the property get.
    @inlinable
    public init(wrappedValue: Value) { value = wrappedValue }

    /// Not available: only classes derived from ``Persistent`` have persisted properties.
    @available(*, unavailable, message: "@Persisted is for properties of classes derived from Persistent")
    public var wrappedValue: Value {
        get { fatalError("@Persisted outside of a Persistent class") }
        set { fatalError("@Persisted outside of a Persistent class: \(newValue)") }
    }

    /// The value, with the object loaded before it is read and registered before it is changed.
    @inlinable
    public static subscript<Owner: Persistent>(
        _enclosingInstance owner: Owner,
        wrapped wrapped: ReferenceWritableKeyPath<Owner, Value>,
        storage storage: ReferenceWritableKeyPath<Owner, Persisted<Value>>
    ) -> Value {
        get {
            if owner.objectStatus == .ghost { owner.loadOrStop() }
            return owner[keyPath: storage].value
        }
        set {
            let status = owner.objectStatus
            if status != .changed, status != .unsaved { owner.prepareChange() }
            owner[keyPath: storage].value = newValue
        }
    }
}

/// What the layout of a class needs of its persisted properties, whatever their type. The
/// pointers are to the property in an object, and with that to its value, which is all it has.
protocol PersistedProperty: SendableMetatype {
    static func encode(_ property: UnsafeRawPointer, to encoder: inout StateEncoder) throws
    static func decode(_ property: UnsafeMutableRawPointer, from decoder: inout StateDecoder) throws
    static func copy(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer)
}

extension Persisted: PersistedProperty {
    static func encode(_ property: UnsafeRawPointer, to encoder: inout StateEncoder) throws {
        try unsafe property.assumingMemoryBound(to: Value.self).pointee.encode(to: &encoder)
    }

    static func decode(_ property: UnsafeMutableRawPointer, from decoder: inout StateDecoder) throws {
        let value = try Value.decode(from: &decoder)
        unsafe property.assumingMemoryBound(to: Value.self).pointee = value
    }

    static func copy(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
        unsafe target.assumingMemoryBound(to: Value.self).pointee =
            source.assumingMemoryBound(to: Value.self).pointee
    }
}
