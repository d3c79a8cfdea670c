@testable import ZBigDB

/// A persistent object of the tests: a text and a reference.
final class Note: PersistentObject {
    override class var className: String { "test.Note" }

    /// Makes the class known; needed before a stored note is loaded.
    static let registered: Void = ClassRegistry.register(Note.self)

    private var storedText = ""
    private var storedNext: Note?
    /// How often its state was read from the database.
    private(set) var loads = 0

    init(_ text: String, next: Note? = nil) {
        _ = Note.registered
        storedText = text
        storedNext = next
        super.init()
    }

    override init(ghost oid: OID) { super.init(ghost: oid) }
    override class func ghost(_ oid: OID) -> PersistentObject { Note(ghost: oid) }

    var text: String {
        get throws {
            try activate()
            return storedText
        }
    }

    var next: Note? {
        get throws {
            try activate()
            return storedNext
        }
    }

    func set(_ text: String) throws {
        try willChange()
        storedText = text
    }

    func set(next: Note?) throws {
        try willChange()
        storedNext = next
    }

    override func encodeState(_ writer: inout CBORWriter, _ references: ReferenceEncoder) throws {
        writer.map(storedNext == nil ? 1 : 2)
        writer.text("text")
        writer.text(storedText)
        guard let storedNext else { return }
        writer.text("next")
        try references.encode(storedNext, into: &writer)
    }

    override func decodeState(_ reader: inout CBORReader, _ references: ReferenceDecoder) throws {
        loads += 1
        storedNext = nil
        for _ in 0..<(try reader.map()) {
            switch try reader.text() {
            case "text": storedText = try reader.text()
            case "next": storedNext = try references.decode(&reader) as? Note
            default: try reader.skip()
            }
        }
    }
}

extension Connection {
    /// The note of this name.
    func note(_ name: String) throws -> Note {
        _ = Note.registered
        guard let note = try root.object(name) as? Note else {
            throw DatabaseError.missingName(path: path, name: name)
        }
        return note
    }
}
