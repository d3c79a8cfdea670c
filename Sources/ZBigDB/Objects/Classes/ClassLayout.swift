// The standard library's own list of a type's stored properties. It is not a documented interface;
// the alternative, `Mirror`, makes a value of each property and cannot write them.
@_spi(Reflection) internal import Swift

/// Where a class has its persisted properties, found once and used for all its objects.
///
/// Properties are read and written at their offsets in the object, superclasses' first.
@safe
final class ClassLayout: Sendable {
    /// A persisted property.
    struct Field: Sendable {
        let name: String
        /// The name as an item of a record.
        let key: [UInt8]
        fileprivate let offset: Int
        fileprivate let type: any PersistedProperty.Type
    }

    let type: Persistent.Type
    let fields: [Field]
    /// How a record of this class begins: class name and version.
    let head: [UInt8]
    private let places: [String: Int]
    // Never changed, and never handed out: only its values are copied.
    nonisolated(unsafe) private let defaults: Persistent

    init(_ type: Persistent.Type) {
        self.type = type
        var fields: [Field] = []
        let classOption = _EachFieldOptions(rawValue: 1)
        _ = unsafe _forEachField(of: type, options: classOption) { name, offset, fieldType, _ in
            guard let property = fieldType as? any PersistedProperty.Type else { return true }
            // The storage of a wrapped property is called like the property, after an underscore.
            let name = unsafe String(String(cString: name).dropFirst())
            var writer = CBORWriter()
            writer.text(name)
            fields.append(Field(name: name, key: writer.bytes, offset: offset, type: property))
            return true
        }
        self.fields = fields
        places = Dictionary(
            fields.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        precondition(
            places.count == fields.count,
            "\(type): a persisted property is called like one of its superclass; rename it")
        var writer = CBORWriter()
        writer.array(3)
        writer.text(type.className)
        writer.integer(type.stateVersion)
        head = writer.bytes
        unsafe defaults = type.init()
    }

    /// Writes the state: a map by property name.
    func encode(_ object: Persistent, to encoder: inout StateEncoder) throws {
        encoder.writer.map(fields.count)
        let base = unsafe UnsafeRawPointer(Unmanaged.passUnretained(object).toOpaque())
        for field in fields {
            encoder.writer.raw(field.key)
            try unsafe field.type.encode(base + field.offset, to: &encoder)
        }
        extendLifetime(object)
    }

    /// Reads a state. Properties that are not in it get their default, what is no property any more is
    /// passed over.
    func decode(_ object: Persistent, from decoder: inout StateDecoder) throws {
        let count = try decoder.reader.map()
        let base = unsafe Unmanaged.passUnretained(object).toOpaque()
        var found = 0
        var missing: Set<Int>?
        for index in 0..<count {
            // Usually the fields are there in order.
            if missing == nil, index < fields.count, decoder.reader.take(fields[index].key) {
                try unsafe fields[index].type.decode(base + fields[index].offset, from: &decoder)
                found += 1
                continue
            }
            if missing == nil { missing = Set(found..<fields.count) }
            guard let place = places[try decoder.reader.text()] else {
                try decoder.reader.skip()
                continue
            }
            try unsafe fields[place].type.decode(base + fields[place].offset, from: &decoder)
            missing?.remove(place)
        }
        if missing != nil || found < fields.count {
            // Of an object of its own: a default may be a new map or another object.
            let fresh = type.init()
            for place in missing ?? Set(found..<fields.count) { copy(fields[place], from: fresh, to: object) }
        }
        extendLifetime(object)
    }

    /// Lets go of the values, in an object that will be loaded before they are read.
    func reset(_ object: Persistent) {
        for field in fields { copy(field, from: unsafe defaults, to: object) }
    }

    private func copy(_ field: Field, from source: Persistent, to target: Persistent) {
        let from = unsafe Unmanaged.passUnretained(source).toOpaque()
        let to = unsafe Unmanaged.passUnretained(target).toOpaque()
        unsafe field.type.copy(from: from + field.offset, to: to + field.offset)
        extendLifetime(source)
        extendLifetime(target)
    }
}
